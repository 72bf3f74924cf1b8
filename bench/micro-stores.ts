/** Each backend, and the write buffers over one in memory. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DedupeBuffer,
  KeyValueWriteBuffer,
  WindowWriteBuffer,
  type StateStore,
  type StoreBackend,
  type StoreChange,
  type StoreHeader,
} from '#state'
import { levelBackend } from '#state/level'
import { MemoryBackend } from '#state/memory'
import { sqliteBackend } from '#state/sqlite'
import { readBootId } from '#system'
import { json, long, string, type Serde } from '#topology'
import type { Piece, Pieces } from './piece.ts'

const ROWS = 50_000
const BATCH = 1_000
const HEADER: StoreHeader = {
  format: 1,
  logId: 'bench',
  applicationId: 'bench',
  storeName: 'rows',
  taskId: '0_0',
  changelogs: [],
  appliedInputs: {},
  appliedAtMs: 0,
}

export async function storePieces(): Promise<Pieces> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const open: StateStore[] = []
  const openIn = async (backend: StoreBackend, storeName: string): Promise<StateStore> => {
    const location = { applicationId: 'bench', taskId: '0_0', storeName }
    const { store } = await backend.open(location)
    open.push(store)
    return store
  }
  const backends: readonly StoreBackend[] = [
    new MemoryBackend(),
    sqliteBackend({ folder: join(folder, 'sqlite') }),
    levelBackend({ folder: join(folder, 'level'), bootId: readBootId() }),
  ]
  const pieces: Piece[] = []
  for (const backend of backends) {
    pieces.push(...(await backendPieces(backend.kind, await openIn(backend, 'rows'))))
  }
  const memory = new MemoryBackend()
  pieces.push(
    keyValuePiece(await openIn(memory, 'key-value')),
    windowPiece(await openIn(memory, 'window')),
    ...(await dedupePieces(memory, openIn)),
  )
  return {
    pieces: pieces.map((piece) => ({ ...piece, count: BATCH })),
    async close() {
      for (const store of open) await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** 16 characters, in no order. */
function keyOf(number: number): string {
  return Bun.hash.xxHash64(String(number)).toString(16).padStart(16, '0')
}

function rowsFrom(first: number, count: number): readonly StoreChange[] {
  return Array.from({ length: count }, (_, n) => {
    return { key: Buffer.from(keyOf(first + n)), value: Buffer.alloc(100, `${first + n} `) }
  })
}

async function backendPieces(kind: string, store: StateStore): Promise<readonly Piece[]> {
  for (let first = 0; first < ROWS; first += BATCH * 10) {
    await store.apply(rowsFrom(first, BATCH * 10), HEADER)
  }
  const asked = Array.from({ length: BATCH }, (_, n) => Buffer.from(keyOf(n * 47)))
  const changes = rowsFrom(0, BATCH)
  return [
    {
      name: `${kind}: get`,
      of: 'row',
      count: BATCH,
      run: () => asked.reduce((bytes, key) => bytes + (store.get(key)?.length ?? 0), 0),
    },
    {
      name: `${kind}: apply`,
      of: 'row',
      count: BATCH,
      async run() {
        await store.apply(changes, HEADER)
        return store.get(changes[0]?.key ?? Buffer.alloc(0))?.length ?? 0
      },
    },
  ]
}

/** Reads and writes as the records of a task do, each with its savepoint, and a commit at the end. */
function keyValuePiece(backend: StateStore): Piece {
  const store = new KeyValueWriteBuffer<string, number>({
    name: 'key-value',
    store: backend,
    key: string(),
    value: long(),
    timestamped: true,
    logged: true,
    logEvery: false,
  })
  return {
    name: 'key-value buffer: get and put',
    of: 'record',
    count: BATCH,
    async run() {
      for (let n = 0; n < BATCH; n += 1) {
        store.savepoint()
        const key = `item-${n % 100}`
        store.put(key, (n < 100 ? 0 : (store.get(key) ?? 0)) + 1, n)
      }
      const { changelog, changes } = store.seal()
      await backend.apply(changes, HEADER)
      store.release()
      return changelog.length + (store.get('item-0') ?? 0)
    },
  }
}

function windowPiece(backend: StateStore): Piece {
  const store = new WindowWriteBuffer<string, object>({
    name: 'window',
    store: backend,
    key: string(),
    value: json() as Serde<object>,
    sizeMs: 60_000,
    retentionMs: 3_600_000,
    onClose: false,
    logged: true,
    logEvery: false,
  })
  store.holdFrom(0)
  return {
    name: 'window buffer: get and put',
    of: 'record',
    count: BATCH,
    async run() {
      for (let n = 0; n < BATCH; n += 1) {
        store.savepoint()
        const [key, startMs] = [`item-${n % 100}`, n < BATCH / 2 ? 0 : 60_000]
        const found = store.getTimed(key, startMs)
        store.put(key, startMs, { ...found?.value, n }, n)
      }
      const { changelog, changes } = store.seal()
      await backend.apply(changes, HEADER)
      store.release()
      return changelog.length
    },
  }
}

async function dedupePieces(
  backend: StoreBackend,
  openIn: (backend: StoreBackend, storeName: string) => Promise<StateStore>,
): Promise<readonly Piece[]> {
  const store = await openIn(backend, 'ids')
  const open = (): DedupeBuffer =>
    new DedupeBuffer({ name: 'ids', store, withinMs: 86_400_000, logged: true })
  const held = open()
  for (let n = 0; n < ROWS; n += 1) held.isRepeat(keyOf(n), n)
  await store.apply(held.seal().changes, HEADER)
  held.release()
  return [
    {
      name: 'dedupe: new ids, to the seal',
      of: 'id',
      count: BATCH,
      run() {
        const fresh = open()
        for (let n = 0; n < BATCH; n += 1) {
          fresh.savepoint()
          fresh.isRepeat(keyOf(n), n)
        }
        return fresh.seal().changelog.length
      },
    },
    {
      name: 'dedupe: repeated ids',
      of: 'id',
      count: BATCH,
      run() {
        let repeats = 0
        for (let n = 0; n < BATCH; n += 1) if (held.isRepeat(keyOf(n), ROWS)) repeats += 1
        return repeats
      },
    },
  ]
}
