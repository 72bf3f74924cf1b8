/**
 * One partition of the simulated broker: batches, control records, and which transactions are still open in it.
 *
 * Invariant: offsets are never given twice; what lies below the last stable offset is decided for ever.
 */
import { stampOffsets, type Appended, type Isolation, type TopicPartition } from '#log'
import { asBuffer } from '#system'
import type { BrokerTransaction } from './broker-transaction.ts'

export interface BrokerEntry {
  /** Undefined: a control record. */
  readonly bytes: Uint8Array | undefined
  readonly baseOffset: number
  readonly nextOffset: number
  /** Whether this counts is for it to say; undefined: it does. */
  readonly transaction: BrokerTransaction | undefined
}

/** What a fetch brings of one partition. */
export interface PartitionRead {
  readonly entries: readonly BrokerEntry[]
  /** Behind everything that was returned or passed over. */
  readonly position: number
  readonly highWatermark: number
  readonly lastStableOffset: number
}

export class BrokerPartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly entries: BrokerEntry[] = []
  /** Transactions without a marker here, each with its first offset. */
  readonly #open = new Map<BrokerTransaction, number>()
  endOffset: number = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get lastStableOffset(): number {
    let stable = this.endOffset
    for (const first of this.#open.values()) stable = Math.min(stable, first)
    return stable
  }

  append(batches: readonly Uint8Array[], transaction: BrokerTransaction | undefined): Appended {
    const baseOffset = this.endOffset
    if (transaction !== undefined && !this.#open.has(transaction)) {
      this.#open.set(transaction, baseOffset)
    }
    for (const given of batches) {
      const bytes = Uint8Array.from(given)
      stampOffsets(bytes, { baseOffset: this.endOffset, leaderEpoch: 0 })
      const nextOffset = this.endOffset + lastOffsetDeltaOf(bytes) + 1
      this.entries.push({ bytes, baseOffset: this.endOffset, nextOffset, transaction })
      this.endOffset = nextOffset
    }
    return { baseOffset, count: this.endOffset - baseOffset }
  }

  /** The marker of a transaction has come. */
  mark(transaction: BrokerTransaction): void {
    this.#open.delete(transaction)
    const baseOffset = this.endOffset
    this.endOffset += 1
    this.entries.push({ bytes: undefined, baseOffset, nextOffset: this.endOffset, transaction })
  }

  read(from: number, isolation: Isolation, bytesMax: number): PartitionRead {
    const { endOffset: highWatermark, lastStableOffset } = this
    const end = isolation === 'read-committed' ? lastStableOffset : highWatermark
    const entries: BrokerEntry[] = []
    let position = from
    let bytes = 0
    for (let at = this.indexFrom(from); at < this.entries.length; at += 1) {
      const entry = this.entries[at]
      if (entry === undefined || entry.baseOffset >= end || bytes >= bytesMax) break
      position = entry.nextOffset
      if (entry.bytes === undefined) continue
      if (isolation === 'read-committed' && entry.transaction?.isAborted === true) continue
      entries.push(entry)
      bytes += entry.bytes.length
    }
    return { entries, position, highWatermark, lastStableOffset }
  }

  /** The first entry that has an offset at `position` or after it. */
  indexFrom(position: number): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.entries[middle]?.nextOffset ?? 0) > position) high = middle
      else low = middle + 1
    }
    return low
  }
}

const LAST_OFFSET_DELTA_AT = 23

function lastOffsetDeltaOf(batch: Uint8Array): number {
  return asBuffer(batch).readInt32BE(LAST_OFFSET_DELTA_AT)
}
