/**
 * The dedupe store: ids already accepted, each with the stream time of its acceptance (R14).
 *
 * Invariant: an id is a repeat iff it was accepted and `streamTimeMs − acceptedAt ≤ withinMs`, whatever was purged, restarted or
 * collided meanwhile: purging takes only what is older, and a fingerprint that matches is checked against the stored id.
 */
import { ByteWriter } from '#system'
import { DedupeBlob, dedupeSegmentMs, parseDedupeKey, parseSegmentNote } from './dedupe-blob.ts'
import { DedupeSegment, type Fingerprint } from './dedupe-segment.ts'
import { ExpiredSegments } from './expired-segments.ts'
import type { StateStore, StoreChange } from './store.ts'
import type { ChangelogRecord, DedupeTaskStore, SealedWrites, Turn } from './task-store.ts'

export interface DedupeBufferOptions {
  readonly name: string
  readonly store: StateStore
  readonly withinMs: number
  /** True by default. */
  readonly logged?: boolean
  /** Tombstones for ids that expire, true by default: false where the changelog's topic drops them by itself. */
  readonly logExpiry?: boolean
  /** For tests that force collisions. */
  readonly fingerprint?: Fingerprint
}

/**
 * Two different hashes of 32 bits: as fast as one of 64 and, unlike it, no BigInt for the collector. With the shard, 36 bits
 * tell ids apart: of a million ids kept, one lookup in 70,000 meets another id's fingerprint, and reads a blob for nothing.
 */
const TWO_HASHES: Fingerprint = {
  low: (id) => Bun.hash.xxHash32(id),
  high: (id) => Bun.hash.murmur32v3(id),
}

/**
 * Ids that one commit purges, or twice what it accepts if that is more: a segment of a million must not make one commit of them
 * all, and what expires must not gather faster than it goes.
 */
const PURGED_IDS_MAX = 2_048

/** Ids that `load` takes between two turns. */
const LOADED_IDS = 8_192

/** An id that waits for its commit: string, time and two array places. */
const UNSTORED_ID_BYTES = 80

export class DedupeBuffer implements DedupeTaskStore {
  readonly name: string
  readonly #store: StateStore
  readonly #withinMs: number
  readonly #segmentMs: number
  readonly #logged: boolean
  readonly #fingerprint: Fingerprint
  /** Ascending by start. */
  #segments: DedupeSegment[] = []
  readonly #expired: ExpiredSegments
  #streamTimeMs = -1
  #streamTimeAtSavepoint = -1
  /** The segments of the ids accepted since the savepoint. */
  readonly #accepted: DedupeSegment[] = []

  constructor(options: DedupeBufferOptions) {
    this.name = options.name
    this.#store = options.store
    this.#withinMs = options.withinMs
    this.#segmentMs = dedupeSegmentMs(options.withinMs)
    this.#logged = options.logged ?? true
    this.#expired = new ExpiredSegments(options.store, this.#logged && options.logExpiry !== false)
    this.#fingerprint = options.fingerprint ?? TWO_HASHES
  }

  /** Those that can still make a repeat, and a few that cannot. */
  get ids(): number {
    return this.#segments.reduce((ids, segment) => ids + segment.ids, 0)
  }

  get memoryBytes(): number {
    return this.#segments.reduce((sum, each) => sum + each.memoryBytes(UNSTORED_ID_BYTES), 0)
  }

  async load(turn?: Turn): Promise<void> {
    const overAtMs = await this.#overAtMs()
    const over: DedupeSegment[] = []
    let segment: DedupeSegment | undefined
    let ids = 0
    // Rows come segment by segment: its note, which says how many ids to expect, then its blobs in order.
    for await (const rows of this.#store.scan({ chunkRows: 64 })) {
      for (const { key, value } of rows) {
        const { startMs, firstOrdinal } = parseDedupeKey(key)
        if (firstOrdinal === undefined) {
          const { endMs, nextOrdinal } = parseSegmentNote(startMs, value)
          const isOver = endMs <= overAtMs
          segment = this.#newSegment({ startMs, endMs, expected: isOver ? 0 : nextOrdinal })
          if (isOver) over.push(segment)
          else this.#segments.push(segment)
        } else if (segment !== undefined && segment.endMs <= overAtMs) {
          segment.passOver(firstOrdinal)
        } else if (segment !== undefined) {
          ids += segment.load(firstOrdinal, value)
        }
        if (ids < LOADED_IDS) continue
        ids = 0
        await turn?.()
      }
      await turn?.()
    }
    this.#expired.add(over)
  }

  /** Segments that end by then are over: stream time is at least the start of the newest. */
  async #overAtMs(): Promise<number> {
    for await (const [last] of this.#store.scan({ reverse: true, chunkRows: 1 })) {
      if (last !== undefined) return parseDedupeKey(last.key).startMs - this.#withinMs
    }
    return Number.NEGATIVE_INFINITY
  }

  isRepeat(given: string, streamTimeMs: number): boolean {
    // Ids are compared as their bytes would be: a lone surrogate has none of its own.
    const id = given.isWellFormed() ? given : given.toWellFormed()
    if (streamTimeMs > this.#streamTimeMs) this.#streamTimeMs = streamTimeMs
    const low = this.#fingerprint.low(id)
    const high = this.#fingerprint.high(id)
    const fromMs = streamTimeMs - this.#withinMs
    for (let index = this.#segments.length - 1; index >= 0; index--) {
      const segment = this.#segments[index] as DedupeSegment
      if (segment.endMs > fromMs && segment.has(id, low, high, fromMs)) return true
    }
    const segment = this.#segmentAt(streamTimeMs)
    segment.accept(id, low, high, streamTimeMs)
    this.#accepted.push(segment)
    return false
  }

  savepoint(): void {
    if (this.#accepted.length > 0) this.#accepted.length = 0
    this.#streamTimeAtSavepoint = this.#streamTimeMs
  }

  rollback(): void {
    for (
      let segment = this.#accepted.pop();
      segment !== undefined;
      segment = this.#accepted.pop()
    ) {
      segment.undo()
    }
    this.#streamTimeMs = this.#streamTimeAtSavepoint
  }

  seal(): SealedWrites {
    const accepted = this.#segments.reduce((sum, segment) => sum + segment.openIds, 0)
    const { changes: purged, tombstones } = this.#purge(Math.max(PURGED_IDS_MAX, 2 * accepted))
    const changes: StoreChange[] = [...purged]
    const changelog: ChangelogRecord[] = [...tombstones]
    for (const segment of this.#segments) {
      if (segment.openIds === 0) continue
      const blobs = segment.seal()
      changes.push(...blobs, segment.note())
      if (!this.#logged) continue
      for (const { value } of blobs) {
        if (value !== null) logBlob(new DedupeBlob(value), segment.startMs, changelog)
      }
    }
    this.savepoint()
    return { changelog, changes }
  }

  release(): void {
    for (const segment of this.#segments) segment.release()
  }

  /**
   * Forgets the segments whose last id could no longer make a repeat, ids of this commit included, and deletes the next of
   * what such segments have stored.
   */
  #purge(idsMax: number): ReturnType<ExpiredSegments['take']> {
    const fromMs = this.#streamTimeMs - this.#withinMs
    const isOver = (segment: DedupeSegment): boolean => segment.endMs <= fromMs
    const over = this.#segments.filter(isOver)
    if (over.length > 0) {
      this.#segments = this.#segments.filter((segment) => !isOver(segment))
      this.#expired.add(over)
    }
    return this.#expired.take(idsMax, (id) => this.#isKept(id))
  }

  /** Whether an id of an expired segment has been accepted again since. */
  #isKept(id: string): boolean {
    const low = this.#fingerprint.low(id)
    const high = this.#fingerprint.high(id)
    return this.#segments.some((segment) => segment.has(id, low, high, Number.NEGATIVE_INFINITY))
  }

  #segmentAt(timeMs: number): DedupeSegment {
    for (let index = this.#segments.length - 1; index >= 0; index--) {
      const segment = this.#segments[index] as DedupeSegment
      if (segment.startMs <= timeMs && timeMs < segment.endMs) return segment
    }
    const startMs = Math.floor(timeMs / this.#segmentMs) * this.#segmentMs
    const endMs = startMs + this.#segmentMs
    const same = this.#segments.find((segment) => segment.startMs === startMs)
    if (same === undefined) return this.#addSegment({ startMs, endMs })
    // Only where `withinMs` has grown since the segment was made.
    same.endMs = endMs
    return same
  }

  #addSegment(range: { readonly startMs: number; readonly endMs: number }): DedupeSegment {
    const segment = this.#newSegment(range)
    this.#segments.push(segment)
    this.#segments.sort((a, b) => a.startMs - b.startMs)
    return segment
  }

  #newSegment(range: ConstructorParameters<typeof DedupeSegment>[0]): DedupeSegment {
    return new DedupeSegment(range, this.#store, this.#fingerprint)
  }
}

/** One record an id: its bytes, and the time it was accepted at. */
function logBlob(blob: DedupeBlob, startMs: number, changelog: ChangelogRecord[]): void {
  const times = new ByteWriter(blob.count * 8)
  for (let index = 0; index < blob.count; index++) times.int64(startMs + blob.time(index))
  for (let index = 0; index < blob.count; index++) {
    const value = times.buffer.subarray(index * 8, index * 8 + 8)
    changelog.push({ key: blob.idBytes(index), value, timestampMs: startMs + blob.time(index) })
  }
}
