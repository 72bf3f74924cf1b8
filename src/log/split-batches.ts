/**
 * What an append brings, looked at before anything of it is written.
 *
 * Invariant: batches that come out are whole, of magic 2, no larger than the topic takes, and as many records as announced.
 */
import { asBuffer } from '#system'

import { type Append, LogError } from './log.ts'
import {
  BATCH_HEADER_BYTES,
  corruptAt,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  MAGIC_AT,
} from './record-batch.ts'

/** The batches that stand one after the other in an append's bytes: views, not copies. */
export function splitBatches(append: Append, batchBytesMax: number): readonly Uint8Array[] {
  const { topic, partition, bytes } = append
  const source = asBuffer(bytes)
  const batches: Uint8Array[] = []
  let count = 0
  for (let at = 0; at < bytes.length;) {
    const isHeader = at + BATCH_HEADER_BYTES <= bytes.length && source[at + MAGIC_AT] === 2
    const sizeBytes = isHeader ? source.readInt32BE(at + LENGTH_AT) + LENGTH_OVERHEAD : 0
    if (sizeBytes < BATCH_HEADER_BYTES || at + sizeBytes > bytes.length) {
      throw corruptAt({ topic, partition }, 'what is appended is not whole record batches')
    }
    if (sizeBytes > batchBytesMax) {
      const sizes = `a batch of ${sizeBytes} bytes, the topic takes ${batchBytesMax}`
      const message = `${topic}-${partition}: ${sizes}`
      throw new LogError('RECORD_TOO_LARGE', message, { at: { topic, partition } })
    }
    count += source.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    batches.push(bytes.subarray(at, at + sizeBytes))
    at += sizeBytes
  }
  if (count !== append.count) {
    throw corruptAt({ topic, partition }, `${append.count} records announced, ${count} come`)
  }
  return batches
}
