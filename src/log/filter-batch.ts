/**
 * Compaction of one batch: records are left out, those that stay keep offset, timestamp and bytes.
 *
 * Invariant: base offset, base timestamp and last offset stay as they were, so that the deltas in every record still hold.
 */
import { asBuffer } from '#system'
import { Buffer } from 'node:buffer'

import { compress } from './compression.ts'
import type { TopicPartition } from './log.ts'
import {
  BATCH_HEADER_BYTES,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  MAX_TIMESTAMP_AT,
  readBatchHeader,
  RECORD_COUNT_AT,
  sealBatch,
  writeInt64,
} from './record-batch.ts'
import { RecordCursor } from './record-cursor.ts'
import type { RawRecord } from './record.ts'

/** The batch with the records that `keep` wants; itself if it wants all, undefined if it wants none. */
export function filterBatch(
  bytes: Uint8Array,
  place: TopicPartition,
  keep: (record: RawRecord) => boolean,
): Uint8Array | undefined {
  const cursor = new RecordCursor()
  cursor.open(bytes, place)
  const header = readBatchHeader(bytes)
  const kept: Buffer[] = []
  let maxTimestampMs = -1
  while (cursor.next()) {
    if (!keep(cursor)) continue
    kept.push(cursor.buffer.subarray(cursor.recordStart, cursor.recordEnd))
    maxTimestampMs = Math.max(maxTimestampMs, cursor.timestampMs)
  }
  if (kept.length === header.recordCount) return bytes
  if (kept.length === 0) return undefined

  const { compression } = header
  const plain = Buffer.concat(kept)
  const records = compression === 'none' ? plain : compress(compression, plain)
  const filtered = Buffer.concat([asBuffer(bytes).subarray(0, BATCH_HEADER_BYTES), records])
  filtered.writeInt32BE(filtered.length - LENGTH_OVERHEAD, LENGTH_AT)
  filtered.writeInt32BE(kept.length, RECORD_COUNT_AT)
  writeInt64(filtered, maxTimestampMs, MAX_TIMESTAMP_AT)
  sealBatch(filtered)
  return filtered
}
