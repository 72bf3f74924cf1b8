/**
 * The committed records of one partition, one after the other, up to where it ended when this was opened.
 *
 * A transaction that is committed may not show yet, as long as its markers are on their way: what ended the partition is waited
 * for (R3), also where that is a transaction that somebody has left open.
 *
 * Invariant: `cursor` shows the record that `next` has told of, until `next` is called again.
 */
import {
  readBatchHeader,
  RecordCursor,
  type Compression,
  type FetchedBatch,
  type Log,
  type LogReader,
  type TopicPartition,
} from '#log'

const WAIT_MS = 500
const BYTES_MAX = 1 << 20

export class PartitionRecords {
  readonly cursor: RecordCursor = new RecordCursor()
  /** What the batch of the record came with. */
  compression: Compression = 'none'
  /** Nothing at or beyond it is shown. */
  readonly end: number
  readonly #place: TopicPartition
  readonly #reader: LogReader
  /** Nothing below it is shown. */
  readonly start: number
  #batches: FetchedBatch[] = []
  #position: number

  private constructor(reader: LogReader, place: TopicPartition, start: number, end: number) {
    this.#reader = reader
    this.#place = place
    this.start = start
    this.#position = start
    this.end = end
  }

  /** From `start` or the earliest offset, whichever is later. */
  static async open(log: Log, place: TopicPartition, start = 0): Promise<PartitionRecords> {
    const end = await log.endOffset(place, 'read-uncommitted')
    const position = Math.max(start, await log.earliestOffset(place))
    const reader = log.reader()
    if (position < end) reader.assign([{ ...place, position }])
    return new PartitionRecords(reader, place, position, end)
  }

  /** Hot path: no promise while the batch lasts. */
  next(): boolean | Promise<boolean> {
    const { cursor } = this
    while (cursor.next()) {
      if (cursor.offset < this.start) continue
      return cursor.offset < this.end
    }
    return this.#position < this.end && this.#nextBatch()
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #nextBatch(): Promise<boolean> {
    while (this.#batches.length === 0) {
      if (this.#position >= this.end) return false
      this.#batches = [...(await this.#reader.poll({ waitMs: WAIT_MS, bytesMax: BYTES_MAX }))]
      // Control records and aborted ones move the position without a batch.
      const passed = this.#reader.progress(this.#place)?.position ?? 0
      if (this.#batches.length === 0) this.#position = Math.max(this.#position, passed)
    }
    const batch = this.#batches.shift()
    if (batch === undefined) return false
    this.#position = batch.nextOffset
    this.cursor.open(batch.bytes, batch)
    this.compression = readBatchHeader(batch.bytes).compression
    return this.next()
  }
}
