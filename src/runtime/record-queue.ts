/**
 * The records of one input partition that wait for their turn, decoded one at a time, when they become the head (T2).
 *
 * Invariant: records leave in the order of their offsets, each once; `position` is the offset of the next one (T8).
 *
 * The queue itself is the head: its fields are overwritten by the next, so that a record costs no object.
 */
import {
  LogError,
  readBatchHeader,
  RecordCursor,
  type FetchedBatch,
  type RawRecord,
  type TopicPartition,
} from '#log'
import { StateError } from '#state'
import { AssertionError } from '#system'
import { TopologyError, type DecodedRecord } from '#topology'
import { TaskError } from './task-error.ts'
import { readTimeRecord, type AnnouncedTime } from './time-record.ts'

/** What came to the head: a record for the processors, time across a repartition, or what cannot be decoded. */
export type HeadKind = 'record' | 'time' | 'failed'

export type DecodeRecord = (record: RawRecord, partitionTimeMs: number) => DecodedRecord

export interface RecordQueueSetup {
  readonly input: TopicPartition
  readonly index: number
  /** A repartition topic: time records are looked for. */
  readonly internal: boolean
  readonly decode: DecodeRecord
}

export class RecordQueue implements DecodedRecord {
  readonly input: TopicPartition
  readonly index: number

  hasHead: boolean = false
  kind: HeadKind = 'record'
  key: unknown = null
  value: unknown = null
  timestampMs: number = -1
  /** Why the head is `failed`. */
  error: unknown = undefined
  /** What a `time` head says. */
  announced: AnnouncedTime | undefined = undefined
  /** Highest timestamp taken (T5), which the extractor is shown; −1 at first. */
  partitionTimeMs: number = -1
  /** The next offset to take. */
  position: number = 0
  bufferedBytes: number = 0

  readonly #cursor: RecordCursor = new RecordCursor()
  readonly #internal: boolean
  readonly #decode: DecodeRecord
  readonly #batches: FetchedBatch[] = []
  #open: FetchedBatch | undefined = undefined

  constructor({ input, index, internal, decode }: RecordQueueSetup) {
    this.input = input
    this.index = index
    this.#internal = internal
    this.#decode = decode
  }

  /** The head as it is in its batch: until the next `advance`. */
  get raw(): RawRecord {
    return this.#cursor
  }

  get isEmpty(): boolean {
    return !this.hasHead && this.#open === undefined && this.#batches.length === 0
  }

  add(batch: FetchedBatch): void {
    this.#batches.push(batch)
    this.bufferedBytes += batch.bytes.length
  }

  /** Makes the next record the head; false if there is none. Bytes that cannot be decoded become a `failed` head. */
  advance(): boolean {
    const cursor = this.#cursor
    for (;;) {
      if (this.#open === undefined && !this.#openNext()) return false
      while (cursor.next()) {
        if (cursor.offset < this.position) continue
        this.position = cursor.offset
        this.#decodeHead()
        this.hasHead = true
        return true
      }
      this.#closeOpen()
    }
  }

  /** The head is done with; `counts` for the partition's time unless it failed. */
  take(counts: boolean): void {
    this.hasHead = false
    this.position = this.#cursor.offset + 1
    if (counts && this.timestampMs > this.partitionTimeMs) this.partitionTimeMs = this.timestampMs
  }

  /** Offsets that hold no record for us (control records, aborted ones) are passed as the reader passes them. */
  skipTo(position: number): void {
    if (this.isEmpty && position > this.position) this.position = position
  }

  #decodeHead(): void {
    const cursor = this.#cursor
    this.kind = 'record'
    this.timestampMs = cursor.timestampMs
    if (this.#internal) {
      const announced = readTimeRecord(cursor)
      if (announced !== undefined) {
        this.kind = 'time'
        this.announced = announced
        return
      }
    }
    try {
      const decoded = this.#decode(cursor, this.partitionTimeMs)
      this.key = decoded.key
      this.value = decoded.value
      this.timestampMs = decoded.timestampMs
    } catch (error) {
      if (!isUsersError(error)) throw error
      this.kind = 'failed'
      this.error = error
    }
  }

  #openNext(): boolean {
    const batch = this.#batches.shift()
    if (batch === undefined) return false
    this.#open = batch
    if (readBatchHeader(batch.bytes).control) this.#closeOpen()
    else this.#cursor.open(batch.bytes, batch)
    return this.#open !== undefined || this.#openNext()
  }

  #closeOpen(): void {
    const batch = this.#open
    if (batch === undefined) return
    this.bufferedBytes -= batch.bytes.length
    if (batch.nextOffset > this.position) this.position = batch.nextOffset
    this.#open = undefined
  }
}

/**
 * R15: only what serdes and user code throw is about the record. The log's, a store's and our own errors are about the task.
 * A value that its store's serde refuses, and a record too large for the log, come from the user's code.
 */
export function isUsersError(error: unknown): boolean {
  if (error instanceof StateError) return error.code === 'STORE_SERDE'
  if (error instanceof LogError) return error.code === 'RECORD_TOO_LARGE'
  return !(error instanceof AssertionError) && !(error instanceof TaskError)
}

/** U4: a full buffer is about all that is held, not about the record: passing that over would lose an update at each turn. */
export function isBufferFull(error: unknown): boolean {
  return error instanceof TopologyError && error.code === 'BUFFER_FULL'
}
