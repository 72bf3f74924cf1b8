/**
 * Stores in LevelDB: the fastest writes and the smallest disk, answering single keys; ranges only in chunks.
 *
 * Invariant: no iterator or snapshot is open while a batch is written (LevelDB 1.20 then may lose rows in compactions), so chunks
 * of a scan and batches take turns; single reads are `getSync`, which holds neither.
 *
 * LevelDB is not synced: it is a cache of the changelog, and what a killed process wrote is safe with the operating system.
 * When the machine itself went down, LevelDB can open with batches missing in the middle and not tell. So the first batch after
 * opening carries the boot id, synced, and only a clean close, with everything synced, takes it back (R8).
 */
import { Buffer } from 'node:buffer'
import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { assert } from '#system'
import { keyAfter } from './bytes.ts'
import {
  BEYOND,
  CLEAN,
  FIRST,
  HEADER,
  IN_USE,
  isOwn,
  MARK,
  markOf,
  SAMPLE,
  toKey,
  toRowKey,
} from './level-rows.ts'
import { RowSample } from './row-sample.ts'
import { storeFolder } from './store-folder.ts'
import { decodeStoreHeader, encodeStoreHeader, newerFormat } from './store-header.ts'
import {
  STORE_FORMAT,
  StateError,
  type OpenedStore,
  type ScanOptions,
  type StateStore,
  type StoreBackend,
  type StoreChange,
  type StoreEntry,
  type StoreHeader,
  type StoreLocation,
  type WipedStore,
} from './store.ts'

export interface LevelBackendOptions {
  readonly folder: string
  /** `readBootId()`; undefined where unknown, and then a store that was not closed is restored in full. */
  readonly bootId: string | undefined
  /** Memory for unsorted writes, twice at most, in each store. */
  readonly writeBufferBytes?: number
  /** Memory for blocks that were read, in each store. */
  readonly cacheBytes?: number
}

type Level = ClassicLevel<Uint8Array, Uint8Array>

export function levelBackend(options: LevelBackendOptions): StoreBackend {
  return new LevelBackend(options)
}

const CHUNK_BYTES = 1024 * 1024

/**
 * Stores that are open in this thread. LevelDB would refuse to open one twice as well, but when it does, it closes its lock file
 * once more than it should, and with that gives up the lock that keeps other processes out.
 */
const openPaths = new Set<string>()

class LevelBackend implements StoreBackend {
  readonly kind = 'level' as const
  readonly ordered = false
  readonly restoreBatchRows: number = 50_000
  readonly restoreSliceRows: number = 5_000
  readonly #options: LevelBackendOptions
  /** What a store found broken while it was open; its files are removed before it is opened again. */
  readonly #damaged = new Map<string, string>()

  constructor(options: LevelBackendOptions) {
    this.#options = options
  }

  async open(location: StoreLocation): Promise<OpenedStore> {
    const path = resolve(storeFolder(this.#options.folder, location))
    if (openPaths.has(path)) throw locked(path)
    openPaths.add(path)
    try {
      return await this.#open(path)
    } catch (error) {
      openPaths.delete(path)
      throw error
    }
  }

  async wipe(location: StoreLocation): Promise<void> {
    const path = resolve(storeFolder(this.#options.folder, location))
    if (openPaths.has(path)) throw locked(path)
    if (!existsSync(path)) return
    assertOurs(path)
    await destroy(path)
    this.#damaged.delete(path)
  }

  async #open(path: string): Promise<OpenedStore> {
    assertOurs(path)
    const known = this.#damaged.get(path)
    let wiped: WipedStore | undefined
    if (known !== undefined) {
      await destroy(path)
      this.#damaged.delete(path)
      wiped = { reason: 'damaged', text: known }
    }
    let level = await this.#openLevel(path).catch(async (error: unknown) => {
      if (levelCode(error) !== 'LEVEL_CORRUPTION') throw openError(path, error)
      await destroy(path)
      wiped = { reason: 'damaged', text: `${path}: ${reason(error)}` }
      return this.#openLevel(path)
    })
    const unclean = await this.#whyUnclean(level, path)
    if (unclean !== undefined) {
      await level.close()
      await destroy(path)
      wiped = { reason: 'unclean-reboot', text: unclean }
      level = await this.#openLevel(path)
    }
    const store = new LevelStore(level, path, this.#options.bootId, (text) => {
      this.#damaged.set(path, text)
    })
    return { store, wiped }
  }

  async #openLevel(path: string): Promise<Level> {
    const level: Level = new ClassicLevel(path, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      writeBufferSize: this.#options.writeBufferBytes ?? 4 * 1024 * 1024,
      cacheSize: this.#options.cacheBytes ?? 2 * 1024 * 1024,
    })
    await level.open()
    return level
  }

  /** Refuses what is no store or a newer one; answers why what was written before may have holes, if it may. */
  async #whyUnclean(level: Level, path: string): Promise<string | undefined> {
    const mark = level.getSync(MARK)
    try {
      if (mark === undefined) {
        if (await isEmpty(level)) return undefined
        throw notAStore(path)
      }
      if (mark[0] !== STORE_FORMAT) throw newerFormat(path, mark[0] ?? 0)
      const header = level.getSync(HEADER)
      if (header !== undefined) decodeStoreHeader(header, path)
    } catch (error) {
      await level.close()
      throw error
    }
    if (mark[1] === CLEAN) return undefined
    const bootId = Buffer.from(mark.subarray(2)).toString()
    if (bootId !== '' && bootId === this.#options.bootId) return undefined
    return `${path} was open when the machine went down (boot ${bootId || 'unknown'})`
  }
}

class LevelStore implements StateStore {
  readonly #level: Level
  readonly #path: string
  readonly #bootId: string | undefined
  readonly #onDamage: (text: string) => void
  readonly #sample: RowSample
  #header: StoreHeader | undefined
  /** Whether a batch of this opening has told that the store is in use. */
  #isMarked: boolean = false
  #isApplying: boolean = false
  #refusal: StateError | undefined
  /** The last of the chunks and batches that take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    level: Level,
    path: string,
    bootId: string | undefined,
    onDamage: (text: string) => void,
  ) {
    this.#level = level
    this.#path = path
    this.#bootId = bootId
    this.#onDamage = onDamage
    this.#sample = new RowSample(level.getSync(SAMPLE))
    const header = level.getSync(HEADER)
    if (header !== undefined) this.#header = decodeStoreHeader(header, path)
  }

  header(): StoreHeader | undefined {
    this.#assertUsable()
    return this.#header
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#refusal !== undefined) throw this.#refusal
    try {
      return this.#level.getSync(toRowKey(key))
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  async apply(changes: readonly StoreChange[], header: StoreHeader): Promise<void> {
    this.#assertUsable()
    assert(!this.#isApplying, 'one apply at a time')
    this.#isApplying = true
    const batch = this.#level.batch()
    try {
      for (const change of changes) {
        const { key, value } = change
        if (value === null) batch.del(toRowKey(key))
        else batch.put(toRowKey(key), value)
        this.#sample.add(change)
      }
      const headerBytes = encodeStoreHeader(header)
      batch.put(HEADER, headerBytes)
      if (this.#sample.isDue) batch.put(SAMPLE, this.#sample.encode())
      const isFirst = !this.#isMarked
      if (isFirst) batch.put(MARK, markOf(IN_USE, this.#bootId))
      await this.#inTurn(() => batch.write({ sync: isFirst }))
      this.#isMarked = true
      this.#header = decodeStoreHeader(headerBytes, this.#path)
    } catch (cause) {
      await batch.close().catch(() => {})
      throw this.#fail(cause)
    } finally {
      this.#isApplying = false
    }
  }

  async *scan(options: ScanOptions = {}): AsyncGenerator<readonly StoreEntry[]> {
    const { reverse = false, chunkRows = 1_000 } = options
    let from = toRowKey(options.from ?? FIRST)
    let to = options.to === undefined ? undefined : toRowKey(options.to)
    for (;;) {
      this.#assertUsable()
      const rows = await this.#inTurn(() => this.#rows(from, to, reverse, chunkRows))
      const last = rows.at(-1)?.[0]
      if (last === undefined) return
      if (reverse) to = last
      else from = keyAfter(last)
      const entries = rows.flatMap(([row, value]) => (isOwn(row) ? [] : { key: toKey(row), value }))
      if (entries.length > 0) yield entries
    }
  }

  size(): { readonly rows: number; readonly bytes: number } {
    this.#assertUsable()
    return this.#sample.size()
  }

  async close(): Promise<void> {
    if (this.#refusal?.code === 'STORE_CLOSED') return
    const isSound = this.#refusal === undefined
    this.#refusal = new StateError('STORE_CLOSED', `${this.#path} is closed`)
    await this.#inTurn(async () => {
      try {
        if (isSound && this.#isMarked) await this.#markClean()
      } finally {
        await this.#level.close()
        openPaths.delete(this.#path)
      }
    })
  }

  /**
   * A synced row vouches only for the log file it is in, and an earlier one may not have become a table yet. Compacting a range
   * in which nothing can be makes LevelDB write out, synced, all that it holds in memory: then the mark is the only thing left.
   */
  async #markClean(): Promise<void> {
    await this.#level.compactRange(BEYOND, BEYOND)
    const batch = this.#level.batch()
    if (this.#sample.isDirty) batch.put(SAMPLE, this.#sample.encode())
    await batch.put(MARK, markOf(CLEAN, this.#bootId)).write({ sync: true })
  }

  async #rows(
    from: Uint8Array,
    to: Uint8Array | undefined,
    reverse: boolean,
    rowsMax: number,
  ): Promise<readonly [Uint8Array, Uint8Array][]> {
    this.#assertUsable()
    const bounds = to === undefined ? { gte: from } : { gte: from, lt: to }
    const iterator = this.#level.iterator({ ...bounds, reverse, highWaterMarkBytes: CHUNK_BYTES })
    try {
      return await iterator.nextv(rowsMax)
    } catch (cause) {
      throw this.#fail(cause)
    } finally {
      await iterator.close()
    }
  }

  /** Runs `work` after everything that was given earlier, whether or not that succeeded. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  #fail(cause: unknown): StateError {
    if (this.#refusal !== undefined) return this.#refusal
    const text = `${this.#path}: ${reason(cause)}`
    if (levelCode(cause) === 'LEVEL_CORRUPTION') this.#onDamage(text)
    this.#refusal = new StateError('STORE_FAILED', text, { cause })
    return this.#refusal
  }

  #assertUsable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }
}

// ---------------------------------------------------------------- opening

async function isEmpty(level: Level): Promise<boolean> {
  const iterator = level.iterator({ limit: 1 })
  try {
    return (await iterator.next()) === undefined
  } finally {
    await iterator.close()
  }
}

async function destroy(path: string): Promise<void> {
  try {
    await ClassicLevel.destroy(path)
  } catch (error) {
    throw openError(path, error)
  }
}

/** Refuses a folder with files that LevelDB does not make, before LevelDB adds its own to them. */
function assertOurs(path: string): void {
  const names = existsSync(path) ? readdirSync(path) : []
  const foreign = names.find(
    (name) =>
      !/^(CURRENT|LOCK|LOG|LOG\.old|MANIFEST-\d+|lost|\d+\.(ldb|log|sst|dbtmp))$/.test(name),
  )
  if (foreign !== undefined) throw notAStore(`${path} (${foreign})`)
}

function notAStore(where: string): StateError {
  return new StateError(
    'STORE_REFUSED',
    `${where} is not a level store: remove it to rebuild the store from the changelog, ` +
      'or choose another folder',
  )
}

function openError(path: string, error: unknown): StateError {
  if (levelCode(error) === 'LEVEL_LOCKED') {
    return locked(path, error)
  }
  return new StateError('STORE_FAILED', `${path}: ${reason(error)}`, { cause: error })
}

function locked(path: string, cause?: unknown): StateError {
  return new StateError('STORE_LOCKED', `${path} is open already: a store has one owner`, { cause })
}

/** The code of LevelDB's own error, which an opening error wraps. */
function levelCode(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  return levelCode(error.cause) ?? ('code' in error ? error.code : undefined)
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : reason(error.cause)
}
