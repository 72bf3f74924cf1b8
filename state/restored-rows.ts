/**
 * Restored rows before they are applied: every one in order, or of each key only the latest, whichever the store takes faster.
 *
 * Invariant: what `take` answers, applied in its order, leaves what the records added since the last `take` say.
 */
import { ByteWriter } from '#system'
import { LatestRows } from './latest-rows.ts'
import type { RestoredRecord } from './restorer.ts'
import { TIMESTAMP_BYTES } from './row-format.ts'
import type { StateStore, StoreChange } from './store.ts'

export interface RestoredRows {
  /** How many `take` would answer. */
  readonly rows: number
  /** The record's buffer must not change until what `take` answers is applied. */
  add(record: RestoredRecord): void
  take(): readonly StoreChange[]
}

/** Rows are ts(8) ‖ value if timestamped; else the value. */
export function restoredRows(store: StateStore, timestamped: boolean): RestoredRows {
  return store.takesRepeats === true ? new EveryRow(timestamped) : new LatestRows(timestamped)
}

const VALUES_BYTES_MIN = 1 << 16

class EveryRow implements RestoredRows {
  readonly #timestamped: boolean
  #changes: StoreChange[] = []
  /** Of timestamped rows: room for one apply's worth, as the last one was large. */
  #values = new ByteWriter(VALUES_BYTES_MIN)

  constructor(timestamped: boolean) {
    this.#timestamped = timestamped
  }

  get rows(): number {
    return this.#changes.length
  }

  add(record: RestoredRecord): void {
    const { buffer, keyStart, keyEnd, valueStart } = record
    const value = valueStart < 0 ? null : this.#valueOf(record)
    this.#changes.push({ key: buffer.subarray(keyStart, keyEnd), value })
  }

  take(): readonly StoreChange[] {
    const changes = this.#changes
    this.#changes = []
    // A new buffer: the rows are views of the old one.
    this.#values = new ByteWriter(Math.max(this.#values.length + TIMESTAMP_BYTES, VALUES_BYTES_MIN))
    return changes
  }

  #valueOf({ buffer, valueStart, valueEnd, timestampMs }: RestoredRecord): Uint8Array {
    if (!this.#timestamped) return buffer.subarray(valueStart, valueEnd)
    const values = this.#values
    const start = values.length
    values.int64(timestampMs)
    values.range(buffer, valueStart, valueEnd)
    // A writer that grows leaves its old buffer to the views of it, which stay as they are.
    return values.buffer.subarray(start, values.length)
  }
}
