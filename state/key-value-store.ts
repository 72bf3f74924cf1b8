/**
 * The key-value task store: layers over a cache over a backend, with rows `ts(8) ‖ value` or plain values.
 *
 * Invariant: a read answers the newest of open layer, committing layer and backend; the cache only ever holds what the
 * backend holds (R4).
 */
import { assert } from '#system'
import { rangeOf, SortedDirty } from './key-range.ts'
import { RowFormat } from './row-format.ts'
import { encodeWrites, RowBytes, type CacheLimits } from './sealed-writes.ts'
import { isOrdered, type StateStore } from './store.ts'
import type {
  ChangelogRecord,
  Codec,
  KeyRange,
  KeyValueTaskStore,
  SealedWrites,
  TimedValue,
} from './task-store.ts'
import { TwoGenerationCache } from './two-generation-cache.ts'
import { type DirtyEntry, Layers, WriteBuffer, type Written } from './write-buffer.ts'

export interface KeyValueWriteBufferOptions<K, V> extends CacheLimits {
  readonly name: string
  readonly store: StateStore
  readonly key: Codec<K>
  readonly value: Codec<V>
  /** Rows carry the time they were written with. */
  readonly timestamped: boolean
  readonly logged: boolean
  /** The changelog gets every put in put order, with its own timestamp; else one record a key and commit. */
  readonly logEvery: boolean
  /** `range` is allowed; the backend must be an ordered one. */
  readonly ordered?: boolean
}

const ABSENT: Written<never> = { value: null, timestampMs: 0 }

export class KeyValueWriteBuffer<K, V> implements KeyValueTaskStore<K, V> {
  readonly name: string
  readonly #store: StateStore
  readonly #format: RowFormat<K, V>
  readonly #logged: boolean
  readonly #ordered: boolean
  readonly #logEvery: boolean
  readonly #layers: Layers<K, V> = new Layers(0)
  readonly #buffer: WriteBuffer<K, V>
  /** `value: null` is known to be absent. */
  readonly #cache: TwoGenerationCache<Written<V>>
  readonly #cacheLimits: CacheLimits
  readonly #sortedOpen: SortedDirty<K, V>
  readonly #sortedCommitting: SortedDirty<K, V>
  readonly #rowBytes = new RowBytes()

  constructor(options: KeyValueWriteBufferOptions<K, V>) {
    this.name = options.name
    this.#store = options.store
    this.#format = new RowFormat(options.name, options.key, options.value, options.timestamped)
    this.#logged = options.logged
    this.#ordered = options.ordered === true
    this.#logEvery = options.logEvery && options.logged
    this.#buffer = new WriteBuffer(this.#logEvery)
    this.#cacheLimits = options
    this.#cache = new TwoGenerationCache(this.#rowBytes.entriesWithin(options))
    this.#sortedOpen = new SortedDirty(this.#format)
    this.#sortedCommitting = new SortedDirty(this.#format)
  }

  /** Nothing is kept in memory but what reads bring there. */
  async load(): Promise<void> {}

  get(key: K): V | undefined {
    return this.#read(key).value ?? undefined
  }

  getTimed(key: K): TimedValue<V> | undefined {
    const { value, timestampMs } = this.#read(key)
    if (value === null) return undefined
    return { value, timestampMs: this.#format.timestamped ? timestampMs : 0 }
  }

  put(key: K, value: V | null, timestampMs: number): void {
    const mapKey = typeof key === 'string' ? key : this.#format.mapKeyOf(key)
    this.#buffer.put(this.#layers, mapKey, key, { value, timestampMs })
  }

  range(range: KeyRange<K>): Iterable<readonly [key: K, value: V]> {
    const store = this.#store
    assert(this.#ordered && isOrdered(store), `store ${this.name} is not ordered: it has no range`)
    return rangeOf(
      {
        store,
        format: this.#format,
        open: this.#sortedOpen.of(this.#buffer.dirty),
        committing: this.#sortedCommitting.of(this.#buffer.committing),
      },
      range,
    )
  }

  savepoint(): void {
    this.#buffer.savepoint()
  }

  rollback(): void {
    this.#buffer.rollback()
  }

  encodedSinceSavepoint(): readonly ChangelogRecord[] {
    const options = { windowed: false, logged: this.#logged, sizeHint: 0 }
    return encodeWrites(this.#buffer.writtenSinceSavepoint(), this.#format, options).changelog
  }

  seal(): SealedWrites {
    const puts = this.#withoutVainDeletes(this.#buffer.seal())
    const encoded = encodeWrites(puts, this.#format, {
      windowed: false,
      logged: this.#logged,
      sizeHint: puts.length * this.#rowBytes.average,
    })
    this.#rowBytes.add(puts.length, encoded.bytes)
    return encoded
  }

  /** A key that neither had a value nor has one needs no tombstone (X2). */
  #withoutVainDeletes(puts: readonly DirtyEntry<K, V>[]): readonly DirtyEntry<K, V>[] {
    if (this.#logEvery || !puts.some(({ written }) => written.value === null)) return puts
    return puts.filter(({ mapKey, key, written }) => {
      if (written.value !== null) return true
      return (this.#cache.get(mapKey) ?? this.#fetch(mapKey, key)).value !== null
    })
  }

  release(): void {
    this.#cache.resize(this.#rowBytes.entriesWithin(this.#cacheLimits))
    for (const { mapKey, written } of this.#buffer.release()) this.#cache.set(mapKey, written)
  }

  get memoryBytes(): number {
    return (this.#buffer.entryCount + this.#cache.size) * this.#rowBytes.averageInMemory
  }

  #read(key: K): Written<V> {
    const mapKey = typeof key === 'string' ? key : this.#format.mapKeyOf(key)
    return this.#layers.read(mapKey) ?? this.#cache.get(mapKey) ?? this.#fetch(mapKey, key)
  }

  #fetch(mapKey: string, key: K): Written<V> {
    const row = this.#store.get(this.#format.scratchKey(key))
    const written = row === undefined ? ABSENT : this.#format.readRow(row)
    this.#cache.set(mapKey, written)
    return written
  }
}
