/**
 * The records of one partition on their way into one commit: batches for the target, and where they were on the source.
 *
 * Invariant: batches hold the records in the order added, with the compression they came with, none larger than the topic takes
 * unless a single record is.
 */
import { Buffer } from 'node:buffer'
import {
  RecordBatchWriter,
  type Append,
  type Compression,
  type RawRecord,
  type TopicPartition,
} from '#log'
import type { Run } from './ledger.ts'
import { keyOf, type Carried } from './translate.ts'

export class ChunkBuilder {
  readonly place: TopicPartition
  readonly runs: Run[] = []
  readonly #batchBytesMax: number
  readonly #batches: Uint8Array[] = []
  #writer: RecordBatchWriter = new RecordBatchWriter()
  #compression: Compression = 'none'
  #count = 0
  #finishedBytes = 0

  constructor(place: TopicPartition, batchBytesMax: number) {
    this.place = place
    this.#batchBytesMax = batchBytesMax
  }

  /** Before compression of what is not finished. */
  get sizeBytes(): number {
    return this.#finishedBytes + this.#writer.sizeBytes
  }

  /** `compression`: what the record's batch came with. */
  add(record: RawRecord, { value, headers }: Carried, compression: Compression): void {
    if (compression !== this.#compression) {
      this.#finishBatch()
      this.#compression = compression
      this.#writer = new RecordBatchWriter({ compression })
    }
    const key = keyOf(record)
    const { count, sizeBytes, maxTimestampMs } = this.#writer
    this.#writer.add(record.timestampMs, key, value, headers)
    if (count > 0 && this.#writer.sizeBytes > this.#batchBytesMax) {
      this.#writer.truncate(count, sizeBytes, maxTimestampMs)
      this.#finishBatch()
      this.#writer.add(record.timestampMs, key, value, headers)
    }
    this.#count += 1
    const [first, length] = this.runs.at(-1) ?? [-1, 0]
    if (first + length === record.offset && length > 0)
      this.runs[this.runs.length - 1] = [first, length + 1]
    else this.runs.push([record.offset, 1])
  }

  finish(): Append {
    this.#finishBatch()
    return { ...this.place, count: this.#count, bytes: Buffer.concat(this.#batches) }
  }

  #finishBatch(): void {
    if (this.#writer.count === 0) return
    const batch = this.#writer.finish()
    this.#finishedBytes += batch.length
    this.#batches.push(batch)
  }
}
