/**
 * Turns restored changelog records into the rows that the live store would have written: the formats, the other way round.
 *
 * Invariant: applying what `take` answers, in order, leaves a backend from which the task store loads the same contents as
 * from the one that was lost.
 */
import { ByteWriter, readInt64 } from '#system'
import { BUFFER_VALUE_VERSION } from './buffer-value.ts'
import { DedupeRestorer } from './dedupe-restorer.ts'
import { parseWindowStoreKey, TIMESTAMP_BYTES, WINDOW_SUFFIX_BYTES } from './row-format.ts'
import type { ChangelogRestorer, RestoredExpiry, RestoredRecord, RestoreSpec } from './restorer.ts'
import { StateError, type StateStore, type StoreChange } from './store.ts'
import { observedTimeNote, readObservedTime, WindowRetention } from './window-retention.ts'

/** One restorer a store and restore, over the store it restores. */
export function changelogRestorer(spec: RestoreSpec, store: StateStore): ChangelogRestorer {
  switch (spec.kind) {
    case 'key-value':
      return spec.timestamped ? new TimestampedRestorer() : new PlainRestorer()
    case 'window':
      return new WindowRestorer(spec, store)
    case 'suppress':
      return new SuppressRestorer(spec.name)
    case 'dedupe':
      return new DedupeRestorer(spec, store)
  }
}

async function* nothing(): AsyncGenerator<never> {}

function keyOf({ buffer, keyStart, keyEnd }: RestoredRecord): Uint8Array {
  return buffer.subarray(keyStart, keyEnd)
}

/** Rows are the records. */
class PlainRestorer implements ChangelogRestorer {
  #changes: StoreChange[] = []

  get rows(): number {
    return this.#changes.length
  }

  add(record: RestoredRecord): void {
    const { buffer, valueStart, valueEnd } = record
    const value = valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
    this.#changes.push({ key: keyOf(record), value })
  }

  take(): readonly StoreChange[] {
    const changes = this.#changes
    this.#changes = []
    return changes
  }

  expired(): AsyncGenerator<never> {
    return nothing()
  }
}

/** Rows are ts(8) ‖ value; all values of one batch are written into one buffer. */
class TimestampedRestorer implements ChangelogRestorer {
  #keys: Uint8Array[] = []
  /** Where each row ends; −1 for a delete. */
  #ends: number[] = []
  #values = new ByteWriter(1 << 16)

  get rows(): number {
    return this.#keys.length
  }

  add(record: RestoredRecord): void {
    const { buffer, valueStart, valueEnd, timestampMs } = record
    this.#keys.push(keyOf(record))
    if (valueStart < 0) {
      this.#ends.push(-1)
      return
    }
    this.#values.int64(timestampMs)
    this.#values.range(buffer, valueStart, valueEnd)
    this.#ends.push(this.#values.length)
  }

  take(): readonly StoreChange[] {
    const { buffer } = this.#values
    const changes: StoreChange[] = []
    let start = 0
    for (let index = 0; index < this.#keys.length; index++) {
      const key = this.#keys[index] as Uint8Array
      const end = this.#ends[index] as number
      changes.push({ key, value: end < 0 ? null : buffer.subarray(start, end) })
      if (end >= 0) start = end
    }
    // A new buffer: the rows are views of the old one.
    this.#values = new ByteWriter(Math.max(this.#values.length + TIMESTAMP_BYTES, 1 << 16))
    this.#keys = []
    this.#ends = []
    return changes
  }

  expired(): AsyncGenerator<never> {
    return nothing()
  }
}

/**
 * Timestamped rows, and the note of the highest window start, deleted windows included. Where time alone lets windows go, the
 * store is searched for them each time a segment of them has: rows lie by key, and an index would cost what a live store costs.
 */
class WindowRestorer implements ChangelogRestorer {
  readonly #inner = new TimestampedRestorer()
  readonly #store: StateStore
  readonly #retention: WindowRetention
  #notedTimeMs: number
  #expiredBelowMs = Number.NEGATIVE_INFINITY

  constructor(
    spec: { readonly retentionMs: number; readonly expiry: RestoredExpiry },
    store: StateStore,
  ) {
    this.#store = store
    this.#retention = new WindowRetention(spec.retentionMs)
    if (spec.expiry === 'by-time') this.#retention.holdFrom(Number.POSITIVE_INFINITY)
    this.#notedTimeMs = readObservedTime(store)
    this.#retention.observe(this.#notedTimeMs)
  }

  get rows(): number {
    return this.#inner.rows
  }

  add(record: RestoredRecord): void {
    const startMs = readInt64(record.buffer, record.keyEnd - WINDOW_SUFFIX_BYTES)
    this.#retention.observe(startMs)
    if (startMs >= this.#retention.keptFromMs) this.#inner.add(record)
  }

  take(): readonly StoreChange[] {
    const changes = this.#inner.take()
    const { observedTimeMs } = this.#retention
    if (observedTimeMs === this.#notedTimeMs) return changes
    this.#notedTimeMs = observedTimeMs
    return [...changes, observedTimeNote(observedTimeMs)]
  }

  async *expired(): AsyncGenerator<readonly StoreChange[]> {
    const { keptFromMs } = this.#retention
    if (keptFromMs === this.#expiredBelowMs) return
    this.#expiredBelowMs = keptFromMs
    for await (const rows of this.#store.scan()) {
      const deletes: StoreChange[] = []
      for (const { key } of rows) {
        const parsed = parseWindowStoreKey(key)
        if (parsed !== undefined && parsed.startMs < keptFromMs) deletes.push({ key, value: null })
      }
      yield deletes
    }
  }
}

/** Rows are the records, in the one version that is written. */
class SuppressRestorer extends PlainRestorer {
  readonly #name: string

  constructor(name: string) {
    super()
    this.#name = name
  }

  override add(record: RestoredRecord): void {
    if (record.valueStart >= 0) this.#checkVersion(record)
    super.add(record)
  }

  #checkVersion(record: RestoredRecord): void {
    const version = record.headers().find(([name]) => name === 'v')?.[1]
    if (version?.[0] === BUFFER_VALUE_VERSION) return
    throw new StateError(
      'STORE_SERDE',
      `store ${this.#name}: its changelog has a record of version ${version?.[0] ?? 0}, not 3: it was written by Kafka ` +
        'Streams before 2.4; let a newer one write it again, or reset the application',
    )
  }
}
