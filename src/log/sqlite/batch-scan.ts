/**
 * Goes through the batches of a partition for maintenance, a bounded chunk a time, with room for others in between.
 *
 * Invariant: nothing is held between two chunks; batches that come or go meanwhile may or may not be seen.
 */
import type { TopicPartition } from '../log.ts'
import { checkBatch } from '../record-batch.ts'
import type { PartitionNumber } from './write-channel.ts'
import type { ReadHandle } from './read-handle.ts'

/** A chunk is over at either. */
const CHUNK_ROWS = 2_000
const CHUNK_BYTES = 524_288

export interface ScannedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly maxTimestampMs: number
  readonly sizeBytes: number
}

interface SizeRow {
  readonly base_offset: number
  readonly last_offset: number
  readonly max_timestamp: number
  readonly size: number
}

interface BytesRow {
  readonly base_offset: number
  readonly last_offset: number
  readonly bytes: Uint8Array
}

/** Where batches are and how large, from `fromOffset` on. */
export async function* scanSizes(
  handle: ReadHandle,
  { topicNumber, partition }: PartitionNumber,
  fromOffset: number,
  rest: () => Promise<void>,
): AsyncGenerator<readonly ScannedBatch[]> {
  const select = handle.database.query<SizeRow, [number, number, number]>(
    `SELECT base_offset, last_offset, max_timestamp, length(bytes) AS size FROM batches
     WHERE topic = ? AND partition = ? AND base_offset >= ? ORDER BY base_offset LIMIT ${CHUNK_ROWS}`,
  )
  for (let from = fromOffset; ;) {
    const rows = await handle.readSoon(() => select.all(topicNumber, partition, from))
    const last = rows.at(-1)
    if (last === undefined) return
    yield rows.map((row) => ({
      baseOffset: row.base_offset,
      lastOffset: row.last_offset,
      maxTimestampMs: row.max_timestamp,
      sizeBytes: row.size,
    }))
    from = last.last_offset + 1
    await rest()
  }
}

/** The batches themselves, checked, from `fromOffset` on and below `belowOffset`. */
export async function* scanBatches(
  handle: ReadHandle,
  place: TopicPartition & PartitionNumber,
  { fromOffset, belowOffset }: { readonly fromOffset: number; readonly belowOffset: number },
  rest: () => Promise<void>,
): AsyncGenerator<readonly (readonly [baseOffset: number, bytes: Uint8Array])[]> {
  const { topic, topicNumber, partition } = place
  const select = handle.database.query<BytesRow, [number, number, number, number]>(
    `SELECT base_offset, last_offset, bytes FROM batches
     WHERE topic = ? AND partition = ? AND base_offset >= ? AND base_offset < ?
     ORDER BY base_offset`,
  )
  for (let from = fromOffset; ;) {
    const chunk: (readonly [number, Uint8Array])[] = []
    const start = from
    await handle.readSoon(() => {
      chunk.length = 0
      let sizeBytes = 0
      for (const row of select.iterate(topicNumber, partition, start, belowOffset)) {
        checkBatch(row.bytes, { topic, partition, offset: row.base_offset })
        chunk.push([row.base_offset, row.bytes])
        from = row.last_offset + 1
        sizeBytes += row.bytes.length
        if (sizeBytes >= CHUNK_BYTES || chunk.length >= CHUNK_ROWS) break
      }
    })
    if (chunk.length === 0) return
    yield chunk
    await rest()
  }
}
