/**
 * What a task has written for one partition and not committed yet: finished batches and the one being written.
 *
 * Invariant: `rollback` leaves exactly the records that were there at the savepoint, whatever was split since.
 */
import {
  BATCH_BYTES_MAX,
  LogError,
  RecordBatchWriter,
  RecordCursor,
  type Append,
  type Compression,
  type Encodes,
  type RecordHeaders,
} from '#log'

/** A batch is finished when it is this large, or as large as its topic takes: big enough to be cheap. */
const SPLIT_BYTES = 500_000

export class OutputPartition {
  readonly topic: string
  readonly partition: number
  /** The savepoint that this partition has written since: which marks below are in force. */
  savepoint: number = -1

  readonly #bytesMax: number
  readonly #splitBytes: number
  readonly #writer: RecordBatchWriter
  readonly #finished: Append[] = []
  #finishedBytes: number = 0
  #markFinished: number = 0
  #markCount: number = 0
  #markBytes: number = 0
  #markTimeMs: number = 0

  /** `bytesMax`: the largest batch that the topic takes. */
  constructor(
    topic: string,
    partition: number,
    bytesMax: number = BATCH_BYTES_MAX,
    compression: Compression = 'none',
  ) {
    this.topic = topic
    this.partition = partition
    this.#bytesMax = bytesMax
    this.#splitBytes = Math.min(SPLIT_BYTES, bytesMax)
    this.#writer = new RecordBatchWriter({ compression })
  }

  get bytes(): number {
    return this.#finishedBytes + (this.#writer.count === 0 ? 0 : this.#writer.sizeBytes)
  }

  /** Remembers where a record begins to write here. */
  mark(savepoint: number): void {
    this.savepoint = savepoint
    this.#markFinished = this.#finished.length
    this.#markCount = this.#writer.count
    this.#markBytes = this.#writer.sizeBytes
    this.#markTimeMs = this.#writer.maxTimestampMs
  }

  /** Back to the mark. */
  rollback(): void {
    const split = this.#finished[this.#markFinished]
    if (split === undefined) {
      this.#writer.truncate(this.#markCount, this.#markBytes, this.#markTimeMs)
      return
    }
    // What was open at the mark is the beginning of the first batch finished since.
    for (const { bytes } of this.#finished.splice(this.#markFinished)) {
      this.#finishedBytes -= bytes.length
    }
    this.#writer.clear()
    const cursor = new RecordCursor()
    cursor.open(split.bytes, this)
    while (this.#writer.count < this.#markCount && cursor.next()) {
      const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor
      const key = keyStart < 0 ? null : buffer.subarray(keyStart, keyEnd)
      const value = valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
      this.#writer.add(cursor.timestampMs, key, value, cursor.headers())
    }
  }

  /** RECORD_TOO_LARGE, and the record is not there, if the topic would never take it. */
  add<K, V>(
    timestampMs: number,
    key: K | null,
    keySerde: Encodes<K>,
    value: V | null,
    valueSerde: Encodes<V>,
    headers: RecordHeaders,
  ): void {
    const writer = this.#writer
    const { count, sizeBytes, maxTimestampMs } = writer
    writer.addWith(timestampMs, key, keySerde, value, valueSerde, headers)
    if (writer.sizeBytes < this.#splitBytes) return
    if (writer.sizeBytes <= this.#bytesMax) {
      this.#finish()
      return
    }
    const batchBytes = writer.sizeBytes
    writer.truncate(count, sizeBytes, maxTimestampMs)
    if (count === 0) {
      throw new LogError(
        'RECORD_TOO_LARGE',
        `a record for ${this.topic}-${this.partition} makes a batch of ${batchBytes} bytes alone; ` +
          `the topic takes ${this.#bytesMax} (max.message.bytes)`,
        { at: { topic: this.topic, partition: this.partition } },
      )
    }
    this.#finish()
    this.add(timestampMs, key, keySerde, value, valueSerde, headers)
  }

  /** Everything as appends, in order; the partition starts anew. */
  seal(target: Append[]): void {
    if (this.#writer.count > 0) this.#finish()
    for (const append of this.#finished) target.push(append)
    this.#finished.length = 0
    this.#finishedBytes = 0
    this.savepoint = -1
  }

  #finish(): void {
    const { count } = this.#writer
    const bytes = this.#writer.finish()
    this.#finished.push({ topic: this.topic, partition: this.partition, bytes, count })
    this.#finishedBytes += bytes.length
  }
}
