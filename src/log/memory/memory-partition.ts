/**
 * One partition in memory: its batches, in order, and what was removed of them.
 *
 * Invariant: base offsets ascend, `nextOffset` of one batch is at most the base offset of the next, and offsets are never
 * given twice.
 */
import { Buffer } from 'node:buffer'

import { type Appended, LogError, type TopicPartition } from '../log.ts'
import { readBatchHeader, stampLogAppendTime, stampOffsets } from '../record-batch.ts'
import { RecordCursor } from '../record-cursor.ts'
import type { TopicSettings } from '../topic-config.ts'

export interface KeptBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly nextOffset: number
  readonly leaderEpoch: number
  readonly maxTimestampMs: number
  readonly appendedAtMs: number
  /** When compaction first met it; undefined before. */
  readonly compactedAtMs: number | undefined
}

export class MemoryPartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly settings: TopicSettings
  readonly #epochs: { readonly epoch: number; readonly startOffset: number }[] = [
    { epoch: 0, startOffset: 0 },
  ]
  #batches: KeptBatch[] = []
  #earliestOffset: number = 0
  #endOffset: number = 0
  tombstonesRemovedBelow: number = 0

  constructor(topic: string, partition: number, settings: TopicSettings) {
    this.topic = topic
    this.partition = partition
    this.settings = settings
  }

  get batches(): readonly KeptBatch[] {
    return this.#batches
  }

  get earliestOffset(): number {
    return this.#earliestOffset
  }

  get endOffset(): number {
    return this.#endOffset
  }

  get leaderEpoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 0
  }

  /** Keeps copies: what the caller does with its bytes afterwards is its own affair. */
  append(batches: readonly Uint8Array[], nowMs: number): Appended {
    const baseOffset = this.#endOffset
    const { leaderEpoch } = this
    for (const given of batches) {
      const bytes = Buffer.from(given)
      if (this.settings.timestampType === 'log-append-time') stampLogAppendTime(bytes, nowMs)
      stampOffsets(bytes, { baseOffset: this.#endOffset, leaderEpoch })
      const { lastOffsetDelta, maxTimestampMs } = readBatchHeader(bytes)
      const nextOffset = this.#endOffset + lastOffsetDelta + 1
      this.#batches.push({
        bytes,
        baseOffset: this.#endOffset,
        nextOffset,
        leaderEpoch,
        maxTimestampMs,
        appendedAtMs: nowMs,
        compactedAtMs: undefined,
      })
      this.#endOffset = nextOffset
    }
    return { baseOffset, count: this.#endOffset - baseOffset }
  }

  /** The index of the first batch that has, or had, an offset at `position` or after it. */
  indexFrom(position: number): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle]?.nextOffset ?? 0) > position) high = middle
      else low = middle + 1
    }
    return low
  }

  deleteBelow(offset: number): void {
    if (offset > this.#endOffset || offset < 0 || !Number.isSafeInteger(offset)) {
      const { topic, partition } = this
      const message = `${topic}-${partition} ends at ${this.#endOffset}, not ${offset}`
      throw new LogError('OFFSET_OUT_OF_RANGE', message, { at: { topic, partition, offset } })
    }
    if (offset <= this.#earliestOffset) return
    this.#earliestOffset = offset
    this.#batches.splice(0, this.indexFrom(offset))
  }

  /** Puts what compaction made of the batches in their place. */
  replaceBatches(batches: KeptBatch[]): void {
    this.#batches = batches
  }

  /** As after a change of leader: what is appended from here on belongs to a new epoch. */
  startEpoch(): void {
    this.#epochs.push({ epoch: this.leaderEpoch + 1, startOffset: this.#endOffset })
  }

  endOffsetOfEpoch(epoch: number): number | undefined {
    const at = this.#epochs.findIndex((known) => known.epoch === epoch)
    if (at === -1) return undefined
    return this.#epochs[at + 1]?.startOffset ?? this.#endOffset
  }

  offsetForTimestamp(timestampMs: number): number | undefined {
    const cursor = new RecordCursor()
    for (const batch of this.#batches) {
      if (batch.maxTimestampMs < timestampMs) continue
      cursor.open(batch.bytes, this)
      while (cursor.next()) {
        const kept = cursor.offset >= this.#earliestOffset
        if (kept && cursor.timestampMs >= timestampMs) return cursor.offset
      }
    }
    return undefined
  }
}
