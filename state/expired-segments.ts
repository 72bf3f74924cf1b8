/**
 * Segments of a dedupe store that are over, on their way out: blob by blob, and from the changelog id by id.
 *
 * Invariant: blobs go oldest first, each in the commit that has the tombstones of its ids, and a segment's note goes last: what
 * a crash leaves is a shorter segment. Segments go in the order of their ends, so a tombstone of one says that all that ended
 * before it are gone from the changelog.
 */
import { blobKey, DedupeBlob, noteKey } from './dedupe-blob.ts'
import type { StateStore, StoreChange } from './store.ts'
import type { ChangelogRecord } from './task-store.ts'

export interface ExpiredSegment {
  readonly startMs: number
  readonly endMs: number
  /** The first ordinal of each blob, ascending. */
  readonly blobs: readonly number[]
}

interface Leaving extends ExpiredSegment {
  nextBlob: number
}

export class ExpiredSegments {
  readonly #store: StateStore
  readonly #logged: boolean
  #leaving: Leaving[] = []

  /** `logged`: ids get tombstones. Without them nothing has to be read, and all goes at once. */
  constructor(store: StateStore, logged: boolean) {
    this.#store = store
    this.#logged = logged
  }

  /** Segments that have become over since the last call. */
  add(segments: readonly ExpiredSegment[]): void {
    const inOrder = [...segments].sort((a, b) => a.endMs - b.endMs)
    for (const { startMs, endMs, blobs } of inOrder) {
      this.#leaving.push({ startMs, endMs, blobs, nextBlob: 0 })
    }
  }

  /**
   * Deletes of the next rows, with about `idsMax` ids in them. `isKept` tells of an id whether it has been accepted anew since:
   * the changelog's last record of it is that, and stays.
   */
  take(
    idsMax: number,
    isKept: (id: string) => boolean,
  ): { readonly changes: readonly StoreChange[]; readonly tombstones: readonly ChangelogRecord[] } {
    const changes: StoreChange[] = []
    const tombstones: ChangelogRecord[] = []
    let ids = 0
    for (let oldest = this.#leaving[0]; oldest !== undefined; oldest = this.#leaving[0]) {
      const { startMs, endMs } = oldest
      const first = oldest.blobs[oldest.nextBlob]
      if (first === undefined) {
        changes.push({ key: noteKey(startMs), value: null })
        this.#leaving.shift()
        continue
      }
      if (ids >= idsMax) break
      if (this.#logged) ids += this.#bury(blobKey(startMs, first), endMs, isKept, tombstones)
      changes.push({ key: blobKey(startMs, first), value: null })
      oldest.nextBlob += 1
    }
    return { changes, tombstones }
  }

  /** The tombstones' time is the segment's end, which tells a restorer how far the purge has come. */
  #bury(
    key: Uint8Array,
    timestampMs: number,
    isKept: (id: string) => boolean,
    tombstones: ChangelogRecord[],
  ): number {
    const value = this.#store.get(key)
    if (value === undefined) return 0
    const blob = new DedupeBlob(value)
    for (let index = 0; index < blob.count; index++) {
      if (isKept(blob.id(index))) continue
      tombstones.push({ key: blob.idBytes(index), value: null, timestampMs })
    }
    return blob.count
  }
}
