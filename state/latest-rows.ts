/**
 * Restored rows before they are applied: of each key the latest, so that a key that has changed a hundred times is written once.
 *
 * Invariant: `take` answers each key once, in the order in which keys first came; bytes are copied then, not before.
 */
import type { Buffer } from 'node:buffer'
import { ByteWriter } from '#system'
import type { RestoredRecord } from './restorer.ts'
import { TIMESTAMP_BYTES } from './row-format.ts'
import type { StoreChange } from './store.ts'

/** A key's latest record: where its bytes lie. Reused when the key comes again. */
interface Latest {
  buffer: Buffer
  keyStart: number
  keyEnd: number
  /** −1: a delete. */
  valueStart: number
  valueEnd: number
  timestampMs: number
}

export class LatestRows {
  /** Rows are ts(8) ‖ value; else the value. */
  readonly #timestamped: boolean
  /** By the key's bytes, as text of one character a byte. */
  #latest: Map<string, Latest> = new Map()

  constructor(timestamped: boolean) {
    this.#timestamped = timestamped
  }

  get rows(): number {
    return this.#latest.size
  }

  add({ buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs }: RestoredRecord): void {
    const key = buffer.latin1Slice(keyStart, keyEnd)
    const known = this.#latest.get(key)
    if (known === undefined) {
      const latest = { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs }
      this.#latest.set(key, latest)
      return
    }
    known.buffer = buffer
    known.keyStart = keyStart
    known.keyEnd = keyEnd
    known.valueStart = valueStart
    known.valueEnd = valueEnd
    known.timestampMs = timestampMs
  }

  take(): readonly StoreChange[] {
    if (this.#latest.size === 0) return []
    const latest = this.#latest
    this.#latest = new Map()
    return this.#timestamped ? timestampedRows(latest) : plainRows(latest)
  }
}

function plainRows(latest: ReadonlyMap<string, Latest>): readonly StoreChange[] {
  const changes: StoreChange[] = []
  for (const { buffer, keyStart, keyEnd, valueStart, valueEnd } of latest.values()) {
    const value = valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
    changes.push({ key: buffer.subarray(keyStart, keyEnd), value })
  }
  return changes
}

/** All rows are views of one new buffer. */
function timestampedRows(latest: ReadonlyMap<string, Latest>): readonly StoreChange[] {
  let sizeBytes = 0
  for (const { valueStart, valueEnd } of latest.values()) {
    sizeBytes += TIMESTAMP_BYTES + valueEnd - valueStart
  }
  const target = new ByteWriter(sizeBytes)
  const changes: StoreChange[] = []
  for (const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } of latest.values()) {
    const key = buffer.subarray(keyStart, keyEnd)
    if (valueStart < 0) {
      changes.push({ key, value: null })
      continue
    }
    const start = target.length
    target.int64(timestampMs)
    target.range(buffer, valueStart, valueEnd)
    changes.push({ key, value: target.buffer.subarray(start, target.length) })
  }
  return changes
}
