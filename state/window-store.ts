/**
 * The window task store: one value a key and window, window by window in memory, rows `key ‖ start(8) ‖ seq(4)` behind it.
 *
 * Invariant: `#windows` knows every window and every key of it that has a row in the backend or a write in a layer (some of
 * the keys may be gone). A window that retention lets go is never read or written again, and leaves row by row over the
 * following commits, the same rows from the changelog as from the backend.
 *
 * So a key that is new in its window never asks the backend, closing finds its windows at once, and expiry needs no scan. The
 * price is the keys of all kept windows in memory; `load` rebuilds them.
 */
import { compareBytes } from './bytes.ts'
import { parseWindowStoreKey, RowFormat } from './row-format.ts'
import { encodeWrites, RowBytes, type CacheLimits } from './sealed-writes.ts'
import type { StateStore, StoreChange } from './store.ts'
import type {
  ChangelogRecord,
  Codec,
  SealedWrites,
  TimedValue,
  Turn,
  WindowEntry,
  WindowTaskStore,
} from './task-store.ts'
import { observedTimeNote, readObservedTime, WindowRetention } from './window-retention.ts'
import { Layers, WriteBuffer, type Written } from './write-buffer.ts'

export interface WindowWriteBufferOptions<K, V> extends CacheLimits {
  readonly name: string
  readonly store: StateStore
  readonly key: Codec<K>
  readonly value: Codec<V>
  readonly sizeMs: number
  readonly retentionMs: number
  /** Windows are read when they close. */
  readonly onClose: boolean
  readonly logged: boolean
  readonly logEvery: boolean
  /** Tombstones for rows that retention drops, true by default: false where the changelog's topic drops them by itself. */
  readonly logExpiry?: boolean
}

/**
 * Rows of expired windows that one commit deletes, or twice what it writes if that is more: a segment of many keys must not make
 * one commit of them all, and what expires must not gather faster than it goes.
 */
const EXPIRED_ROWS_MAX = 4_096
/** A key in the index of its window: a map entry, and often a string shared with layers and cache. */
const INDEXED_KEY_BYTES = 64
const ABSENT: Written<never> = { value: null, timestampMs: 0 }

/** One window: its layers, the keys it may have, and what of it is cached from the backend. */
class WindowSlice<K, V> extends Layers<K, V> {
  readonly keys: Map<string, K> = new Map()
  readonly cached: Map<string, Written<V>> = new Map()
}

export class WindowWriteBuffer<K, V> implements WindowTaskStore<K, V> {
  readonly name: string
  readonly sizeMs: number
  readonly #store: StateStore
  readonly #format: RowFormat<K, V>
  readonly #logged: boolean
  readonly #logExpiry: boolean
  readonly #buffer: WriteBuffer<K, V>
  readonly #retention: WindowRetention
  readonly #windows: Map<number, WindowSlice<K, V>> = new Map()
  /** The keys of `#windows`, ascending. */
  readonly #starts: number[] = []
  /** The window that was last asked for: most records stay in it. */
  #last: WindowSlice<K, V> | undefined
  readonly #cacheLimits: CacheLimits
  #cached = 0
  #indexed = 0
  #sealedObservedTimeMs = -1
  readonly #rowBytes = new RowBytes()

  constructor(options: WindowWriteBufferOptions<K, V>) {
    this.name = options.name
    this.sizeMs = options.sizeMs
    this.#store = options.store
    this.#format = new RowFormat(options.name, options.key, options.value, true)
    this.#logged = options.logged
    this.#logExpiry = options.logged && options.logExpiry !== false
    this.#buffer = new WriteBuffer(options.logEvery && options.logged)
    this.#retention = new WindowRetention(options.retentionMs)
    this.#cacheLimits = options
  }

  get observedTimeMs(): number {
    return this.#retention.observedTimeMs
  }

  async load(turn?: Turn): Promise<void> {
    for await (const rows of this.#store.scan()) {
      for (const row of rows) {
        const parsed = parseWindowStoreKey(row.key)
        if (parsed === undefined) continue
        const key = this.#format.readKey(row.key, parsed.key.length)
        this.#index(this.#sliceAt(parsed.startMs), this.#format.mapKeyOf(key), key)
        this.#retention.observe(parsed.startMs)
      }
      await turn?.()
    }
    this.#retention.observe(readObservedTime(this.#store))
    this.#sealedObservedTimeMs = this.observedTimeMs
    this.savepoint()
  }

  getTimed(key: K, windowStartMs: number): TimedValue<V> | undefined {
    if (windowStartMs < this.#retention.shownFromMs) return undefined
    const slice = this.#find(windowStartMs)
    if (slice === undefined) return undefined
    const mapKey = typeof key === 'string' ? key : this.#format.mapKeyOf(key)
    return present(this.#read(slice, mapKey, key))
  }

  put(key: K, windowStartMs: number, value: V | null, timestampMs: number): boolean {
    this.#retention.observe(windowStartMs)
    if (windowStartMs < this.#retention.keptFromMs) return false
    const slice = this.#find(windowStartMs) ?? this.#sliceAt(windowStartMs)
    const mapKey = typeof key === 'string' ? key : this.#format.mapKeyOf(key)
    const isNew = this.#buffer.put(slice, mapKey, key, { value, timestampMs })
    if (isNew) this.#index(slice, mapKey, key)
    return true
  }

  holdFrom(windowStartMs: number): void {
    this.#retention.holdFrom(windowStartMs)
  }

  *windows(fromMs: number, toMs: number): Iterable<WindowEntry<K, V>> {
    for (const windowStartMs of this.#startsWithin(fromMs, toMs)) {
      const slice = this.#windows.get(windowStartMs)
      if (slice === undefined) continue
      for (const [mapKey, key] of this.#inKeyOrder(slice)) {
        const timed = present(this.#read(slice, mapKey, key))
        if (timed !== undefined) yield windowEntry(key, windowStartMs, timed)
      }
    }
  }

  *fetch(key: K, fromMs: number, toMs: number): Iterable<WindowEntry<K, V>> {
    for (const windowStartMs of this.#startsWithin(fromMs, toMs)) {
      const timed = this.getTimed(key, windowStartMs)
      if (timed !== undefined) yield windowEntry(key, windowStartMs, timed)
    }
  }

  savepoint(): void {
    this.#buffer.savepoint()
    this.#retention.savepoint()
  }

  /** Keys that the record added to an index stay there: an index may name keys that are gone. */
  rollback(): void {
    this.#buffer.rollback()
    this.#retention.rollback()
  }

  encodedSinceSavepoint(): readonly ChangelogRecord[] {
    const options = { windowed: true, logged: this.#logged, sizeHint: 0 }
    return encodeWrites(this.#buffer.writtenSinceSavepoint(), this.#format, options).changelog
  }

  seal(): SealedWrites {
    const puts = this.#buffer.seal()
    const { changelog, changes, bytes } = encodeWrites(puts, this.#format, {
      windowed: true,
      logged: this.#logged,
      sizeHint: puts.length * this.#rowBytes.average,
    })
    this.#rowBytes.add(puts.length, bytes)
    this.#retention.savepoint()
    const expired = this.#expire(Math.max(EXPIRED_ROWS_MAX, 2 * puts.length))
    const notes = this.observedTimeMs > this.#sealedObservedTimeMs
    this.#sealedObservedTimeMs = this.observedTimeMs
    if (expired.length === 0 && !notes) return { changelog, changes }
    const note = notes ? [observedTimeNote(this.observedTimeMs)] : []
    return {
      changelog: this.#logExpiry ? [...changelog, ...this.#tombstones(expired)] : changelog,
      changes: [...changes, ...expired, ...note],
    }
  }

  release(): void {
    for (const { layers, mapKey, written } of this.#buffer.release()) {
      const slice = this.#windows.get(layers.windowStartMs)
      if (slice === undefined) continue
      if (written.value !== null) this.#cache(slice, mapKey, written)
      else this.#forget(slice, mapKey)
    }
    this.#evict()
  }

  get memoryBytes(): number {
    const entries = this.#buffer.entryCount + this.#cached
    return entries * this.#rowBytes.averageInMemory + this.#indexed * INDEXED_KEY_BYTES
  }

  // -------------------------------------------------------------- windows

  #find(windowStartMs: number): WindowSlice<K, V> | undefined {
    const last = this.#last
    if (last !== undefined && last.windowStartMs === windowStartMs) return last
    const slice = this.#windows.get(windowStartMs)
    if (slice !== undefined) this.#last = slice
    return slice
  }

  #sliceAt(windowStartMs: number): WindowSlice<K, V> {
    const known = this.#find(windowStartMs)
    if (known !== undefined) return known
    const slice = new WindowSlice<K, V>(windowStartMs)
    this.#windows.set(windowStartMs, slice)
    this.#starts.splice(this.#firstStartFrom(windowStartMs), 0, windowStartMs)
    this.#last = slice
    return slice
  }

  /** Index of the first start that is not below `startMs`. */
  #firstStartFrom(startMs: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? 0) < startMs) low = middle + 1
      else high = middle
    }
    return low
  }

  #startsWithin(fromMs: number, toMs: number): readonly number[] {
    const from = this.#firstStartFrom(Math.max(fromMs, this.#retention.shownFromMs))
    let to = from
    while (to < this.#starts.length && (this.#starts[to] ?? 0) <= toMs) to += 1
    return this.#starts.slice(from, to)
  }

  #inKeyOrder(slice: WindowSlice<K, V>): readonly (readonly [mapKey: string, key: K])[] {
    const keys = [...slice.keys].map(([mapKey, key]) => {
      return { mapKey, key, bytes: this.#format.keyBytes(key) }
    })
    keys.sort((a, b) => compareBytes(a.bytes, b.bytes))
    return keys.map(({ mapKey, key }) => [mapKey, key])
  }

  #index(slice: WindowSlice<K, V>, mapKey: string, key: K): void {
    const { keys } = slice
    const before = keys.size
    keys.set(mapKey, key)
    this.#indexed += keys.size - before
  }

  /** Deletes of rows in windows that retention no longer keeps, oldest first: what is left waits for the next commit. */
  #expire(rowsMax: number): readonly StoreChange[] {
    const expired: StoreChange[] = []
    while ((this.#starts[0] ?? Number.POSITIVE_INFINITY) < this.#retention.keptFromMs) {
      const windowStartMs = this.#starts[0] ?? 0
      const slice = this.#windows.get(windowStartMs)
      for (const [mapKey, key] of slice?.keys ?? []) {
        if (expired.length >= rowsMax) return expired
        expired.push({ key: this.#format.windowKeyBytes(key, windowStartMs), value: null })
        slice?.keys.delete(mapKey)
        this.#indexed -= 1
      }
      this.#drop(windowStartMs)
    }
    return expired
  }

  #drop(windowStartMs: number): void {
    const slice = this.#windows.get(windowStartMs)
    this.#starts.shift()
    this.#windows.delete(windowStartMs)
    this.#cached -= slice?.cached.size ?? 0
    if (this.#last === slice) this.#last = undefined
  }

  #tombstones(expired: readonly StoreChange[]): readonly ChangelogRecord[] {
    return expired.map(({ key }) => ({ key, value: null, timestampMs: this.observedTimeMs }))
  }

  // -------------------------------------------------------------- cache

  #read(slice: WindowSlice<K, V>, mapKey: string, key: K): Written<V> {
    return slice.read(mapKey) ?? slice.cached.get(mapKey) ?? this.#fetch(slice, mapKey, key)
  }

  #fetch(slice: WindowSlice<K, V>, mapKey: string, key: K): Written<V> {
    if (!slice.keys.has(mapKey)) return ABSENT
    const row = this.#store.get(this.#format.scratchWindowKey(key, slice.windowStartMs))
    if (row === undefined) return ABSENT
    const timed = this.#format.readRow(row)
    this.#cache(slice, mapKey, timed)
    this.#evict()
    return timed
  }

  #cache(slice: WindowSlice<K, V>, mapKey: string, written: Written<V>): void {
    const before = slice.cached.size
    slice.cached.set(mapKey, written)
    this.#cached += slice.cached.size - before
  }

  /** A committed delete: gone from the cache, and from the index unless it was written again since. */
  #forget(slice: WindowSlice<K, V>, mapKey: string): void {
    if (slice.cached.delete(mapKey)) this.#cached -= 1
    if (!slice.open.has(mapKey) && slice.keys.delete(mapKey)) this.#indexed -= 1
  }

  /** Over the maximum the oldest windows leave the cache whole: records go to the newer ones. */
  #evict(): void {
    const entriesMax = this.#rowBytes.entriesWithin(this.#cacheLimits)
    for (const start of this.#starts) {
      if (this.#cached <= entriesMax) return
      const slice = this.#windows.get(start)
      this.#cached -= slice?.cached.size ?? 0
      slice?.cached.clear()
    }
  }
}

function present<V>(written: Written<V>): TimedValue<V> | undefined {
  return isPresent(written) ? written : undefined
}

function isPresent<V>(written: Written<V>): written is TimedValue<V> {
  return written.value !== null
}

function windowEntry<K, V>(
  key: K,
  windowStartMs: number,
  { value, timestampMs }: TimedValue<V>,
): WindowEntry<K, V> {
  return { key, windowStartMs, value, timestampMs }
}
