/**
 * What a reader may see of the batches in one answer about one partition.
 *
 * Control batches are nobody's to see. A read-committed reader does not see transactions that end aborted either: the
 * broker lists, for the offsets of this answer, their producers and first offsets. In offset order, a producer is aborted
 * from such a first offset on to the abort marker in the log; then it may commit, and abort again:
 *
 *     offsets            10  11  12  13  14  15  16  17       listed: (A, 10) (A, 15)
 *     producer and kind  A   B   A   A✗  A   A✓  …            10 and 12 are dropped up to the marker at 13, which ends it
 *
 * The marker may be missing from this answer, and one producer may be listed several times; so the state is made anew for
 * each answer.
 *
 * Invariant: every batch passed over is behind `position`, in order, whole, of right checksum; each is either given out or
 * control, aborted, or wholly below where the reader began.
 */
import { asBuffer, readInt64 } from '#system'
import type { Buffer } from 'node:buffer'

import type { FetchedBatch, TopicPartition } from '../log.ts'
import {
  ATTRIBUTES_AT,
  BATCH_HEADER_BYTES,
  checkBatch,
  CONTROL_BIT,
  corruptAt,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  PRODUCER_ID_AT,
  TRANSACTIONAL_BIT,
} from '../record-batch.ts'
import { RecordCursor } from '../record-cursor.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** How far whole batches reach, by their headers alone: where they end, and the offset behind them (−1 if there is none). */
export function measureBatches(records: Buffer): {
  readonly endAt: number
  readonly nextOffset: number
} {
  let endAt = 0
  let nextOffset = -1
  while (endAt + BATCH_HEADER_BYTES <= records.length) {
    const sizeBytes = records.readInt32BE(endAt + LENGTH_AT) + LENGTH_OVERHEAD
    // An impossible size is left to be found, and told, by whoever reads the batch.
    if (endAt + sizeBytes > records.length || sizeBytes < BATCH_HEADER_BYTES) break
    nextOffset = readInt64(records, endAt) + records.readInt32BE(endAt + LAST_OFFSET_DELTA_AT) + 1
    endAt += sizeBytes
  }
  return { endAt, nextOffset }
}

export class VisibleBatches {
  readonly #place: TopicPartition
  readonly #records: Buffer
  readonly #aborted: readonly AbortedTransaction[]
  /** Producers inside of a transaction that ends aborted. */
  readonly #aborting: Set<number> = new Set()
  /** How many of `#aborted` have begun. */
  #begun: number = 0
  /** Where the last batch ended, in the bytes and in the log. */
  #at: number = 0
  #endOffset: number = 0
  #position: number
  #ready: FetchedBatch | undefined
  /** What stopped the reading; `take` throws it when everything before it has been taken. */
  #damage: unknown

  /** `records` from `position` on, as the broker gave them; `aborted` as it listed them, undefined for read-uncommitted. */
  constructor(
    place: TopicPartition,
    records: Buffer,
    position: number,
    aborted: readonly AbortedTransaction[] | undefined,
  ) {
    this.#place = place
    this.#records = records
    this.#position = position
    this.#aborted = (aborted ?? []).toSorted((a, b) => a.firstOffset - b.firstOffset)
    this.#advance()
  }

  /** The offset behind everything that was taken and that was passed over after it. */
  get position(): number {
    return this.#position
  }

  /** Nothing is left to take. */
  get isDone(): boolean {
    return this.#ready === undefined && this.#damage === undefined
  }

  /** The next batch, if there is one. LOG_CORRUPT where the bytes are damaged, again and again. */
  take(): FetchedBatch | undefined {
    const batch = this.#ready
    if (batch === undefined) {
      if (this.#damage !== undefined) throw this.#damage
      return undefined
    }
    this.#position = batch.nextOffset
    this.#advance()
    return batch
  }

  #advance(): void {
    this.#ready = undefined
    try {
      for (;;) {
        const batch = this.#nextWhole()
        if (batch === undefined) return
        if (this.#isVisible(batch)) {
          this.#ready = batch
          return
        }
        this.#position = Math.max(this.#position, batch.nextOffset)
      }
    } catch (error) {
      this.#damage = error
    }
  }

  /** The next batch, checked; undefined at the end, or before a batch that is cut off there. */
  #nextWhole(): FetchedBatch | undefined {
    const start = this.#at
    const records = this.#records
    if (start + BATCH_HEADER_BYTES > records.length) return undefined
    const sizeBytes = records.readInt32BE(start + LENGTH_AT) + LENGTH_OVERHEAD
    const { topic, partition } = this.#place
    const at = { topic, partition, offset: this.#position }
    if (sizeBytes < BATCH_HEADER_BYTES) throw corruptAt(at, `a batch of ${sizeBytes} bytes`)
    const end = start + sizeBytes
    if (end > records.length) return undefined
    const bytes = records.subarray(start, end)
    checkBatch(bytes, at)
    const baseOffset = readInt64(bytes, 0)
    const nextOffset = baseOffset + bytes.readInt32BE(LAST_OFFSET_DELTA_AT) + 1
    // The checksum does not cover the base offset.
    const isInOrder = baseOffset >= this.#endOffset && nextOffset > baseOffset
    if (!isInOrder || !Number.isSafeInteger(nextOffset)) {
      throw corruptAt(at, `the next batch says offsets ${baseOffset} to ${nextOffset - 1}`)
    }
    this.#at = end
    this.#endOffset = nextOffset
    return { topic, partition, bytes, baseOffset, nextOffset }
  }

  #isVisible({ bytes, nextOffset }: FetchedBatch): boolean {
    const batch = asBuffer(bytes)
    const attributes = batch.readInt16BE(ATTRIBUTES_AT)
    if (this.#aborted.length > 0) this.#beginAborted(nextOffset)
    if (attributes & CONTROL_BIT) {
      if (this.#aborting.size > 0 && isAbortMarker(batch, this.#place)) {
        this.#aborting.delete(readInt64(batch, PRODUCER_ID_AT))
      }
      return false
    }
    if (nextOffset <= this.#position) return false
    const isAborted =
      (attributes & TRANSACTIONAL_BIT) !== 0 &&
      this.#aborting.size > 0 &&
      this.#aborting.has(readInt64(batch, PRODUCER_ID_AT))
    return !isAborted
  }

  #beginAborted(nextOffset: number): void {
    for (;;) {
      const next = this.#aborted[this.#begun]
      if (next === undefined || next.firstOffset >= nextOffset) return
      this.#aborting.add(next.producerId)
      this.#begun += 1
    }
  }
}

/** A control record's key is its version and its type, two int16: 0 aborts, 1 commits. Compaction may have left a batch empty. */
function isAbortMarker(batch: Buffer, place: TopicPartition): boolean {
  const cursor = new RecordCursor()
  cursor.open(batch, place)
  if (!cursor.next() || cursor.keyEnd - cursor.keyStart < 4) return false
  return cursor.buffer.readInt16BE(cursor.keyStart + 2) === 0
}
