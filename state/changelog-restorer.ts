/**
 * Turns restored changelog records into the rows that the live store would have written: the formats, the other way round.
 *
 * Invariant: applying what `take` answers, in order, leaves a backend from which the task store loads the same contents as
 * from the one that was lost.
 */
import type { Buffer } from 'node:buffer'
import { ByteWriter, readInt64 } from '#system'
import { BUFFER_VALUE_VERSION } from './buffer-value.ts'
import {
  BLOB_IDS_MAX,
  blobKey,
  DedupeBlobWriter,
  dedupeSegmentMs,
  noteKey,
  readSegmentNote,
  segmentNote,
} from './dedupe-blob.ts'
import { TIMESTAMP_BYTES, WINDOW_SUFFIX_BYTES } from './row-format.ts'
import { StateError, type StateStore, type StoreChange } from './store.ts'
import { observedTimeNote, readObservedTime } from './window-retention.ts'

/** What of a store decides its rows; a topology's `StoreSpec` is one. */
export type RestoreSpec =
  | { readonly name: string; readonly kind: 'key-value'; readonly timestamped: boolean }
  | { readonly name: string; readonly kind: 'window' }
  | { readonly name: string; readonly kind: 'suppress' }
  | { readonly name: string; readonly kind: 'dedupe'; readonly withinMs: number }

/** A record of a changelog, with a key: bytes of a buffer, a value start of −1 is a delete. The log's `RawRecord` is one. */
export interface RestoredRecord {
  readonly buffer: Buffer
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  readonly timestampMs: number
  /** Asked for only where the format has some. */
  headers(): readonly (readonly [name: string, value: Uint8Array | null])[]
}

export interface ChangelogRestorer {
  /** The buffer's bytes must not change before the rows of the next `take` are applied; the record itself may move on. */
  add(record: RestoredRecord): void
  /** Rows that wait. */
  readonly rows: number
  /** The rows of everything added since the last `take`; the next one counts on these being applied first. */
  take(): readonly StoreChange[]
}

/** One restorer a store and restore, over the store it restores. */
export function changelogRestorer(spec: RestoreSpec, store: StateStore): ChangelogRestorer {
  switch (spec.kind) {
    case 'key-value':
      return spec.timestamped ? new TimestampedRestorer() : new PlainRestorer()
    case 'window':
      return new WindowRestorer(store)
    case 'suppress':
      return new SuppressRestorer(spec.name)
    case 'dedupe':
      return new DedupeRestorer(spec.withinMs, store)
  }
}

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
}

/** Timestamped rows, and the note of the highest window start, deleted windows included. */
class WindowRestorer implements ChangelogRestorer {
  readonly #inner = new TimestampedRestorer()
  #notedTimeMs: number
  #observedTimeMs: number

  constructor(store: StateStore) {
    this.#notedTimeMs = readObservedTime(store)
    this.#observedTimeMs = this.#notedTimeMs
  }

  get rows(): number {
    return this.#inner.rows
  }

  add(record: RestoredRecord): void {
    const startMs = readInt64(record.buffer, record.keyEnd - WINDOW_SUFFIX_BYTES)
    if (startMs > this.#observedTimeMs) this.#observedTimeMs = startMs
    this.#inner.add(record)
  }

  take(): readonly StoreChange[] {
    const changes = this.#inner.take()
    if (this.#observedTimeMs === this.#notedTimeMs) return changes
    this.#notedTimeMs = this.#observedTimeMs
    return [...changes, observedTimeNote(this.#observedTimeMs)]
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

/**
 * Rows are blobs, by segment and batch, numbered on from what the store holds. Segments are dropped as the live store drops
 * them, or a standby would grow for ever; those that were there before, whose blobs it does not know, wait for the live store.
 */
class DedupeRestorer implements ChangelogRestorer {
  readonly #withinMs: number
  readonly #segmentMs: number
  readonly #store: StateStore
  /** The blob of each segment that is being filled. */
  readonly #blobs: Map<number, DedupeBlobWriter> = new Map()
  /** Those that are full. */
  #full: StoreChange[] = []
  /** Where each segment's numbering goes on. */
  readonly #nextOrdinals: Map<number, number> = new Map()
  readonly #ends: Map<number, number> = new Map()
  /** The blobs of each segment that began here, by first ordinal. */
  readonly #firsts: Map<number, number[]> = new Map()
  /** Segments with blobs since the last `take`. */
  readonly #touched: Set<number> = new Set()
  #newestMs = Number.NEGATIVE_INFINITY
  #last: DedupeBlobWriter | undefined
  #rows = 0

  constructor(withinMs: number, store: StateStore) {
    this.#withinMs = withinMs
    this.#segmentMs = dedupeSegmentMs(withinMs)
    this.#store = store
  }

  get rows(): number {
    return this.#rows
  }

  add({ buffer, keyStart, keyEnd, valueStart }: RestoredRecord): void {
    if (valueStart < 0) return
    const acceptedAtMs = readInt64(buffer, valueStart)
    if (acceptedAtMs > this.#newestMs) this.#newestMs = acceptedAtMs
    // Stream time is at least the newest acceptance, so this id can no longer make a repeat.
    if (acceptedAtMs < this.#newestMs - this.#withinMs) return
    const blob = this.#blobAt(Math.floor(acceptedAtMs / this.#segmentMs) * this.#segmentMs)
    blob.addBytes(buffer, keyStart, keyEnd, acceptedAtMs)
    if (blob.count === BLOB_IDS_MAX) this.#close(blob)
    this.#rows += 1
  }

  take(): readonly StoreChange[] {
    // Closing takes a blob out of the map that is walked.
    const open = [...this.#blobs.values()]
    for (const blob of open) this.#close(blob)
    const changes = this.#full
    for (const startMs of this.#touched) {
      const endMs = this.#ends.get(startMs) ?? startMs + this.#segmentMs
      changes.push(
        segmentNote({ startMs, endMs, nextOrdinal: this.#nextOrdinals.get(startMs) ?? 0 }),
      )
    }
    changes.push(...this.#purge())
    this.#full = []
    this.#touched.clear()
    this.#rows = 0
    return changes
  }

  /** No id of them can make a repeat, and none that could comes again: `add` refuses it. */
  #purge(): readonly StoreChange[] {
    const deletes: StoreChange[] = []
    for (const [startMs, firsts] of this.#firsts) {
      const endMs = this.#ends.get(startMs) ?? startMs + this.#segmentMs
      if (endMs > this.#newestMs - this.#withinMs) continue
      for (const first of firsts) deletes.push({ key: blobKey(startMs, first), value: null })
      deletes.push({ key: noteKey(startMs), value: null })
      this.#firsts.delete(startMs)
      this.#ends.delete(startMs)
      this.#nextOrdinals.delete(startMs)
    }
    return deletes
  }

  #close(blob: DedupeBlobWriter): void {
    this.#full.push(blob.finish())
    this.#firsts.get(blob.startMs)?.push(blob.firstOrdinal)
    this.#touched.add(blob.startMs)
    this.#nextOrdinals.set(blob.startMs, blob.firstOrdinal + blob.count)
    this.#blobs.delete(blob.startMs)
    this.#last = undefined
  }

  #blobAt(startMs: number): DedupeBlobWriter {
    if (this.#last?.startMs === startMs) return this.#last
    const blob = this.#blobs.get(startMs) ?? this.#newBlob(startMs)
    this.#last = blob
    return blob
  }

  #newBlob(startMs: number): DedupeBlobWriter {
    let next = this.#nextOrdinals.get(startMs)
    if (next === undefined) {
      const note = readSegmentNote(this.#store, startMs)
      next = note?.nextOrdinal ?? 0
      if (note === undefined) this.#firsts.set(startMs, [])
      this.#ends.set(startMs, Math.max(note?.endMs ?? 0, startMs + this.#segmentMs))
    }
    const blob = new DedupeBlobWriter(startMs, next)
    this.#blobs.set(startMs, blob)
    return blob
  }
}
