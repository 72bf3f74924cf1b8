/**
 * The ids accepted in one stretch of stream time: fingerprints in a table, ids in memory until committed, then in blobs.
 *
 * Invariant: ids are numbered from 0 in the order of acceptance; those below `#stored` are in the backend's blobs, the others
 * in memory, and the table has one entry for each.
 */
import { assert } from '#system'
import { BLOB_IDS_MAX, blobKey, DedupeBlob, DedupeBlobWriter, segmentNote } from './dedupe-blob.ts'
import { FingerprintTable } from './fingerprint-table.ts'
import type { StateStore, StoreChange } from './store.ts'

/** Two hashes of an id, as unsigned words: equal ids have equal ones. */
export interface Fingerprint {
  low(id: string): number
  high(id: string): number
}

export class DedupeSegment {
  readonly startMs: number
  /** Not included. */
  endMs: number
  readonly #store: StateStore
  readonly #fingerprint: Fingerprint
  readonly #table: FingerprintTable
  /** The first ordinal of each blob, ascending. */
  readonly #blobs: number[] = []
  #stored = 0
  #committing: readonly string[] = []
  #committingTimes: readonly number[] = []
  #open: string[] = []
  #openTimes: number[] = []
  /** The blob that was last looked into: repeats come soon after their originals, and together. */
  #lastBlob: { readonly blob: DedupeBlob; readonly first: number } | undefined

  constructor(
    range: { readonly startMs: number; readonly endMs: number; readonly expected?: number },
    store: StateStore,
    fingerprint: Fingerprint,
  ) {
    this.startMs = range.startMs
    this.endMs = range.endMs
    this.#store = store
    this.#fingerprint = fingerprint
    this.#table = new FingerprintTable(range.expected)
  }

  get ids(): number {
    return this.#stored + this.#committing.length + this.#open.length
  }

  /** Accepted since the last seal. */
  get openIds(): number {
    return this.#open.length
  }

  /** `bytesAnId` for each id that is in memory still. */
  memoryBytes(bytesAnId: number): number {
    const unstored = this.#committing.length + this.#open.length
    return this.#table.bytes + this.#blobs.length * 8 + unstored * bytesAnId
  }

  /** Whether the id was accepted here, at `fromMs` or later. */
  has(id: string, low: number, high: number, fromMs: number): boolean {
    const table = this.#table
    table.search(low, high)
    for (let ordinal = table.next(); ordinal >= 0; ordinal = table.next()) {
      if (this.#isAt(ordinal, id, fromMs)) return true
    }
    return false
  }

  accept(id: string, low: number, high: number, acceptedAtMs: number): void {
    this.#table.add(low, high, this.ids)
    this.#open.push(id)
    this.#openTimes.push(acceptedAtMs)
  }

  /** Undoes the last `accept`. */
  undo(): void {
    const id = this.#open.pop()
    this.#openTimes.pop()
    if (id === undefined) return
    this.#table.remove(this.#fingerprint.low(id), this.#fingerprint.high(id), this.ids)
  }

  /** Closes the open ids and answers their blobs. */
  seal(): readonly StoreChange[] {
    const blobs: StoreChange[] = []
    for (let first = 0; first < this.#open.length; first += BLOB_IDS_MAX) {
      const blob = new DedupeBlobWriter(this.startMs, this.#stored + first)
      const end = Math.min(first + BLOB_IDS_MAX, this.#open.length)
      for (let index = first; index < end; index++) {
        blob.addText(this.#open[index] as string, this.#openTimes[index] as number)
      }
      blobs.push(blob.finish())
    }
    this.#committing = this.#open
    this.#committingTimes = this.#openTimes
    this.#open = []
    this.#openTimes = []
    return blobs
  }

  /** What goes with the blobs of a seal: how far the segment reaches and counts. */
  note(): StoreChange {
    return segmentNote({ startMs: this.startMs, endMs: this.endMs, nextOrdinal: this.ids })
  }

  release(): void {
    const stored = this.#stored + this.#committing.length
    for (let first = this.#stored; first < stored; first += BLOB_IDS_MAX) this.#blobs.push(first)
    this.#stored = stored
    this.#committing = []
    this.#committingTimes = []
  }

  /** Takes over a blob of the backend, and answers how many ids it has; blobs come in order. */
  load(firstOrdinal: number, value: Uint8Array): number {
    const blob = new DedupeBlob(value)
    for (let index = 0; index < blob.count; index++) {
      const id = blob.id(index)
      const low = this.#fingerprint.low(id)
      this.#table.add(low, this.#fingerprint.high(id), firstOrdinal + index)
    }
    this.#blobs.push(firstOrdinal)
    this.#stored = firstOrdinal + blob.count
    return blob.count
  }

  /** The same for a segment that only waits to be deleted. */
  passOver(firstOrdinal: number): void {
    this.#blobs.push(firstOrdinal)
  }

  /** What of it is in the backend. */
  get blobs(): readonly number[] {
    return this.#blobs
  }

  /** Whether the entry is this very id, accepted at `fromMs` or later. */
  #isAt(ordinal: number, id: string, fromMs: number): boolean {
    const unstored = ordinal - this.#stored
    if (unstored < 0) {
      const { blob, first } = this.#blobWith(ordinal)
      return blob.id(ordinal - first) === id && this.startMs + blob.time(ordinal - first) >= fromMs
    }
    const inCommitting = unstored < this.#committing.length
    const [ids, times] = inCommitting
      ? [this.#committing, this.#committingTimes]
      : [this.#open, this.#openTimes]
    const index = inCommitting ? unstored : unstored - this.#committing.length
    return ids[index] === id && (times[index] as number) >= fromMs
  }

  #blobWith(ordinal: number): { readonly blob: DedupeBlob; readonly first: number } {
    const first = this.#blobOf(ordinal)
    if (this.#lastBlob?.first === first) return this.#lastBlob
    const value = this.#store.get(blobKey(this.startMs, first))
    assert(value !== undefined, 'a stored id has its blob')
    this.#lastBlob = { blob: new DedupeBlob(value), first }
    return this.#lastBlob
  }

  /** The first ordinal of the blob that holds `ordinal`. */
  #blobOf(ordinal: number): number {
    let low = 0
    let high = this.#blobs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#blobs[middle] ?? 0) <= ordinal) low = middle
      else high = middle - 1
    }
    return this.#blobs[low] ?? 0
  }
}
