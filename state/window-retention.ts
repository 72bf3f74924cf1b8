/**
 * Which windows a store still shows, takes and keeps: Kafka Streams' retention by row and by segment (S1, S3), held back while
 * an operator says that windows are open.
 *
 * Invariant: a window that starts at or after the held start is shown, taken and kept, whatever was observed.
 */
import { asBuffer, ByteWriter, readInt64 } from '#system'
import type { StateStore, StoreChange } from './store.ts'

/** Retention is counted in segments at least this long, as Kafka Streams' stores on disk do. */
const SEGMENT_MS_MIN = 60_000

export class WindowRetention {
  readonly #retentionMs: number
  readonly segmentMs: number
  #observedTimeMs = -1
  /** Until the operator says otherwise every window is open. */
  #heldFromMs = Number.NEGATIVE_INFINITY
  #shownFromMs = Number.NEGATIVE_INFINITY
  #keptFromMs = Number.NEGATIVE_INFINITY
  #observedAtSavepoint = -1
  #heldAtSavepoint = Number.NEGATIVE_INFINITY

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs
    this.segmentMs = Math.max(Math.floor(retentionMs / 2), SEGMENT_MS_MIN)
  }

  get observedTimeMs(): number {
    return this.#observedTimeMs
  }

  /** Reads hide windows that start before this (S1). */
  get shownFromMs(): number {
    return this.#shownFromMs
  }

  /** Puts into windows that start before this are refused, and their rows are dropped at the next seal (S3). */
  get keptFromMs(): number {
    return this.#keptFromMs
  }

  observe(windowStartMs: number): void {
    if (windowStartMs <= this.#observedTimeMs) return
    this.#observedTimeMs = windowStartMs
    this.#settle()
  }

  holdFrom(windowStartMs: number): void {
    if (windowStartMs === this.#heldFromMs) return
    this.#heldFromMs = windowStartMs
    this.#settle()
  }

  savepoint(): void {
    this.#observedAtSavepoint = this.#observedTimeMs
    this.#heldAtSavepoint = this.#heldFromMs
  }

  rollback(): void {
    this.#observedTimeMs = this.#observedAtSavepoint
    this.#heldFromMs = this.#heldAtSavepoint
    this.#settle()
  }

  #settle(): void {
    const liveFromMs = this.#observedTimeMs - this.#retentionMs
    this.#shownFromMs = Math.min(liveFromMs + 1, this.#heldFromMs)
    // A segment lives while any time in it does; Java divides towards zero, so nothing before 0 is a segment of its own.
    const segment = Math.trunc(liveFromMs / this.segmentMs)
    const segmentFromMs = segment <= 0 ? Number.NEGATIVE_INFINITY : segment * this.segmentMs
    this.#keptFromMs = Math.min(segmentFromMs, this.#heldFromMs)
  }
}

/** The store's own note of the highest window start put (S1): rows may be deleted or expire, this may not go back. */
const OBSERVED_TIME_KEY: Uint8Array = Uint8Array.of(0x6f)

export function observedTimeNote(observedTimeMs: number): StoreChange {
  const value = new ByteWriter(8)
  value.int64(observedTimeMs)
  return { key: OBSERVED_TIME_KEY, value: value.copy() }
}

export function readObservedTime(store: StateStore): number {
  const note = store.get(OBSERVED_TIME_KEY)
  return note === undefined ? -1 : readInt64(asBuffer(note), 0)
}
