/**
 * What a changelog record is in its store: the other half of how a store's writes were encoded.
 *
 * Invariant: a store that applied the rows of its changelog equals the store that wrote them.
 *
 * A timestamped row is ts(8) ‖ value and the record carries the time: record (`k`, `v`, 1,000 ms) is the row
 * `k` → `00000000000003e8 76`.
 */
import type { RawRecord } from '#log'
import type { StoreChange } from '#state'
import type { StoreSpec } from '#topology'
import { Buffer } from 'node:buffer'

const TIMESTAMP_BYTES = 8

export type RestoredRow = (record: RawRecord) => StoreChange | undefined

export function restoredRow(spec: StoreSpec): RestoredRow {
  const timestamped = spec.kind === 'window' || (spec.kind === 'key-value' && spec.timestamped)
  return timestamped ? timestampedRow : plainRow
}

function plainRow(record: RawRecord): StoreChange | undefined {
  if (record.keyStart < 0) return undefined
  const { buffer, valueStart } = record
  return {
    key: buffer.subarray(record.keyStart, record.keyEnd),
    value: valueStart < 0 ? null : buffer.subarray(valueStart, record.valueEnd),
  }
}

function timestampedRow(record: RawRecord): StoreChange | undefined {
  if (record.keyStart < 0) return undefined
  const { buffer, valueStart, valueEnd } = record
  const key = buffer.subarray(record.keyStart, record.keyEnd)
  if (valueStart < 0) return { key, value: null }
  const row = Buffer.allocUnsafe(TIMESTAMP_BYTES + valueEnd - valueStart)
  const high = Math.floor(record.timestampMs / 4294967296)
  row.writeInt32BE(high, 0)
  row.writeUInt32BE(record.timestampMs - high * 4294967296, 4)
  buffer.copy(row, TIMESTAMP_BYTES, valueStart, valueEnd)
  return { key, value: row }
}
