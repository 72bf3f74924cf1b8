/** What tests of task stores share: codecs, a backend in memory, and the steps of a commit. */
import { join } from 'node:path'
import { asBuffer, readInt64 } from '#system'
import { changelogRestorer } from '../changelog-restorer.ts'
import type { ChangelogRestorer, RestoredRecord, RestoreSpec } from '../restorer.ts'
import { MemoryBackend } from '../memory-store.ts'
import { STORE_FORMAT, type OrderedStore, type StoreHeader, isOrdered } from '../store.ts'
import type { ChangelogRecord, Codec, SealedWrites, TaskStore } from '../task-store.ts'

export const text: Codec<string> = {
  encode: (value) => new TextEncoder().encode(value),
  decode: (bytes) => new TextDecoder().decode(bytes),
  write: (value, target) => target.utf8(value),
  read: (source, start, end) => source.utf8Slice(start, end),
}

export const long: Codec<number> = {
  encode: (value) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt(value))
    return bytes
  },
  decode: (bytes) => readInt64(asBuffer(bytes), 0),
  write: (value, target) => target.int64(value),
  read: (source, start) => readInt64(source, start),
}

export const HEADER: StoreHeader = {
  format: STORE_FORMAT,
  logId: 'log',
  applicationId: 'app',
  storeName: 'store',
  taskId: '0_0',
  changelogs: [],
  appliedInputs: {},
  appliedAtMs: 0,
}

export async function openMemory(): Promise<OrderedStore> {
  const location = { applicationId: 'app', taskId: '0_0', storeName: 'store' }
  const { store } = await new MemoryBackend().open(location)
  if (!isOrdered(store)) throw new TypeError('the memory store is ordered')
  return store
}

/** A whole commit that succeeds. */
export async function commit(taskStore: TaskStore, backend: OrderedStore): Promise<SealedWrites> {
  const sealed = taskStore.seal()
  await backend.apply(sealed.changes, HEADER)
  taskStore.release()
  return sealed
}

/** A changelog record as a restorer gets it: somewhere in a buffer. */
export function restored(
  key: Uint8Array,
  value: Uint8Array | null,
  timestampMs: number = 0,
  headers: ChangelogRecord['headers'] = [],
): RestoredRecord {
  const buffer = Buffer.concat([Buffer.from('before'), key, value ?? Buffer.from('after')])
  const keyStart = 6
  const keyEnd = keyStart + key.length
  const [valueStart, valueEnd] = value === null ? [-1, -1] : [keyEnd, buffer.length]
  return { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs, headers: () => headers }
}

/** Applies changelog records as a restorer does, in batches. */
export async function restore(
  spec: RestoreSpec,
  backend: OrderedStore,
  records: readonly ChangelogRecord[],
  batch: number = 7,
): Promise<void> {
  const restorer = changelogRestorer(spec, backend)
  for (const [index, { key, value, timestampMs, headers }] of records.entries()) {
    restorer.add(restored(key, value, timestampMs, headers))
    if ((index + 1) % batch === 0) await applyRestored(restorer, backend)
  }
  await applyRestored(restorer, backend)
}

/** What a restorer has waiting, and what expires with it. */
export async function applyRestored(
  restorer: ChangelogRestorer,
  backend: OrderedStore,
): Promise<void> {
  await backend.apply(restorer.take(), HEADER)
  for await (const deletes of restorer.expired()) await backend.apply(deletes, HEADER)
}

/** A changelog record, readable: key, value and time; bytes as latin1. */
export function readable({ key, value, timestampMs }: ChangelogRecord): readonly unknown[] {
  const valueText = value === null ? null : Buffer.from(value).toString('latin1')
  return [Buffer.from(key).toString('latin1'), valueText, timestampMs]
}

/** Everything the backend holds, as hex. */
export async function rowsOf(backend: OrderedStore): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for await (const rows of backend.scan()) {
    for (const { key, value } of rows) found.set(key.toHex(), value.toHex())
  }
  return found
}

/** One of the byte vectors in `golden/`. */
export async function golden<T>(name: string): Promise<T> {
  const file = Bun.file(join(import.meta.dir, '..', 'golden', `${name}.json.gz`))
  return JSON.parse(new TextDecoder().decode(Bun.gunzipSync(await file.bytes())))
}
