/**
 * Turns restored records of a dedupe store into its rows: blobs, by segment and batch, numbered on from what the store holds.
 *
 * Invariant: a segment is dropped once the changelog has let go of it, or newest time where the changelog never says, and not
 * before: until then its tombstones are still to be written, and only who has its ids can write them.
 */
import { readInt64 } from '#system'
import {
  BLOB_IDS_MAX,
  DedupeBlobWriter,
  dedupeSegmentMs,
  parseDedupeKey,
  parseSegmentNote,
  readSegmentNote,
  segmentNote,
} from './dedupe-blob.ts'
import type { ChangelogRestorer, RestoredExpiry, RestoredRecord } from './restorer.ts'
import type { StateStore, StoreChange } from './store.ts'

export class DedupeRestorer implements ChangelogRestorer {
  readonly #withinMs: number
  readonly #segmentMs: number
  readonly #store: StateStore
  readonly #expiry: RestoredExpiry
  /** The blob of each segment that is being filled. */
  readonly #blobs: Map<number, DedupeBlobWriter> = new Map()
  /** Those that are full. */
  #full: StoreChange[] = []
  /** Where each segment's numbering goes on. */
  readonly #nextOrdinals: Map<number, number> = new Map()
  readonly #ends: Map<number, number> = new Map()
  /** Segments with blobs since the last `take`. */
  readonly #touched: Set<number> = new Set()
  /** Segments that end by then are gone from the changelog, or could make no repeat. */
  #overAtMs = Number.NEGATIVE_INFINITY
  /** What is over has been looked for up to the segment with this number. */
  #expiredTo = Number.NEGATIVE_INFINITY
  #last: DedupeBlobWriter | undefined
  #rows = 0

  constructor(
    spec: { readonly withinMs: number; readonly expiry: RestoredExpiry },
    store: StateStore,
  ) {
    this.#withinMs = spec.withinMs
    this.#segmentMs = dedupeSegmentMs(spec.withinMs)
    this.#expiry = spec.expiry
    this.#store = store
  }

  get rows(): number {
    return this.#rows
  }

  add({ buffer, keyStart, keyEnd, valueStart, timestampMs }: RestoredRecord): void {
    if (valueStart < 0) {
      // A tombstone has the time its segment ended at: those that ended before it are gone, that one is on its way.
      if (this.#expiry === 'logged') this.#raise(timestampMs - 1)
      return
    }
    const acceptedAtMs = readInt64(buffer, valueStart)
    // Stream time is at least the newest acceptance.
    if (this.#expiry === 'by-time') this.#raise(acceptedAtMs - this.#withinMs)
    const startMs = Math.floor(acceptedAtMs / this.#segmentMs) * this.#segmentMs
    if (startMs + this.#segmentMs <= this.#overAtMs) return
    const blob = this.#blobAt(startMs)
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
    this.#full = []
    this.#touched.clear()
    this.#rows = 0
    return changes
  }

  /** The rows of segments that are over, a note after its blobs: a blob without its note would be nobody's. */
  async *expired(): AsyncGenerator<readonly StoreChange[]> {
    const overTo = Math.floor(this.#overAtMs / this.#segmentMs)
    if (overTo === this.#expiredTo) return
    this.#expiredTo = overTo
    let note: StoreChange | undefined
    for await (const rows of this.#store.scan({ chunkRows: 64 })) {
      const deletes: StoreChange[] = []
      for (const { key, value } of rows) {
        const { startMs, firstOrdinal } = parseDedupeKey(key)
        if (firstOrdinal !== undefined) {
          deletes.push({ key, value: null })
          continue
        }
        if (note !== undefined) deletes.push(note)
        note = undefined
        if (parseSegmentNote(startMs, value).endMs > this.#overAtMs) {
          if (deletes.length > 0) yield deletes
          return
        }
        note = { key, value: null }
        this.#nextOrdinals.delete(startMs)
        this.#ends.delete(startMs)
      }
      yield deletes
    }
    if (note !== undefined) yield [note]
  }

  #raise(overAtMs: number): void {
    if (overAtMs > this.#overAtMs) this.#overAtMs = overAtMs
  }

  #close(blob: DedupeBlobWriter): void {
    this.#full.push(blob.finish())
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
      this.#ends.set(startMs, Math.max(note?.endMs ?? 0, startMs + this.#segmentMs))
    }
    const blob = new DedupeBlobWriter(startMs, next)
    this.#blobs.set(startMs, blob)
    return blob
  }
}
