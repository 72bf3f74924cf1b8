/**
 * What waits to be written to one partition, in order, cut and joined into batches of a size that a request takes.
 *
 * Invariant: a batch that was taken stays the next one, byte for byte, until it is settled; sequences follow one another without
 * a gap within an epoch.
 */
import { assert } from '#system'
import type { Buffer } from 'node:buffer'

import type { Append, Appended } from '../log.ts'
import { BATCH_BYTES_MAX, stampProducer } from '../record-batch.ts'
import { splitBatches } from '../split-batches.ts'
import { isMergeable, mergeBatches, offsetsIn } from './merge-batches.ts'
import type { ProducerIdentity } from './transaction-codec.ts'

/** Small appends are joined up to this size: then copying them costs more than another request would. */
const JOINED_BYTES_MAX = 65_536
/** What a broker's socket takes in one request is 100 MiB, and a topic that takes more than this is nobody's. */
const REQUEST_BYTES_MAX = 67_108_864
const SEQUENCES = 2 ** 31

export interface Entry {
  readonly append: Append
}

interface Waiting<E extends Entry> {
  readonly entry: E
  /** Not yet written. */
  batches: readonly Uint8Array[]
}

/** A batch on its way. */
export interface Outgoing<E extends Entry> {
  readonly bytes: Buffer
  readonly count: number
  /** Whose records are in it, in order. */
  readonly entries: readonly E[]
}

export interface SettledAppend<E extends Entry> {
  readonly entry: E
  readonly appended: Appended
}

/** Sequences of one partition: they start at 0 in every epoch. */
export interface PartitionSequence {
  identity: ProducerIdentity
  next: number
}

export class PartitionAppends<E extends Entry> {
  #waiting: Waiting<E>[] = []
  #taken: (Outgoing<E> & { readonly pieces: readonly Piece<E>[] }) | undefined
  /** As much as the topic has been seen to refuse is never put together again. */
  #joinedBytesMax: number = BATCH_BYTES_MAX
  /** So many of the oldest were refused together: each goes by itself, so that only what is wrong fails. */
  #alone: number = 0

  /** Throws if the bytes are not what an append announces. */
  push(entry: E): void {
    this.#waiting.push({ entry, batches: splitBatches(entry.append, REQUEST_BYTES_MAX) })
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** The oldest append that is not written whole. */
  get first(): E | undefined {
    return this.#waiting[0]?.entry
  }

  /** The next batch, stamped: the same one until it is settled. Nothing is taken from an empty queue. */
  take(sequence: PartitionSequence, transactional: boolean): Outgoing<E> {
    if (this.#taken !== undefined) return this.#taken
    const pieces = this.#cut()
    const bytes = mergeBatches(pieces.flatMap(({ batches }) => batches))
    const count = offsetsIn(bytes)
    this.#taken = { bytes, count, entries: pieces.map(({ waiting }) => waiting.entry), pieces }
    this.stamp(sequence, transactional)
    return this.#taken
  }

  /** Says anew who writes what was taken. */
  stamp(sequence: PartitionSequence, transactional: boolean): void {
    const { identity, next } = sequence
    // Sent with −1, a batch is taken without idempotence, and nobody would notice.
    assert(identity.producerId >= 0 && identity.epoch >= 0, 'who writes has been told who it is')
    assert(this.#taken !== undefined, 'something was taken')
    stampProducer(this.#taken.bytes, { ...identity, baseSequence: next, transactional })
  }

  /** What was taken is in the log: the appends that it ends. */
  written(baseOffset: number, sequence: PartitionSequence): readonly SettledAppend<E>[] {
    const taken = this.#taken
    assert(taken !== undefined, 'something was taken')
    this.#taken = undefined
    sequence.next = (sequence.next + taken.count) % SEQUENCES
    const settled: SettledAppend<E>[] = []
    let nextOffset = baseOffset
    for (const { waiting, batches } of taken.pieces) {
      nextOffset += batches.reduce((sum, batch) => sum + offsetsIn(batch), 0)
      waiting.batches = waiting.batches.slice(batches.length)
      if (waiting.batches.length > 0) continue
      const { entry } = waiting
      const { count } = entry.append
      // Where another producer got in between two of its batches, it ends where its last record is (R2, R18).
      settled.push({ entry, appended: { baseOffset: nextOffset - count, count } })
    }
    this.#waiting.splice(0, settled.length)
    return settled
  }

  /**
   * The broker does not take what was taken: undefined if it comes again in smaller parts, else the append that is refused, and
   * removed. One that is too large lowers what is joined from now on.
   */
  refused(isTooLarge: boolean): E | undefined {
    const taken = this.#taken
    assert(taken !== undefined, 'something was taken')
    const isJoined = taken.pieces.length > 1
    const isWhole = (taken.pieces[0]?.batches.length ?? 0) > 1
    if (isTooLarge && (isJoined || isWhole)) this.#joinedBytesMax = taken.bytes.length >> 1
    if (!isJoined && !(isTooLarge && isWhole)) return this.drop()[0]
    this.#taken = undefined
    this.#alone = taken.pieces.length
    return undefined
  }

  /** Removes what was taken, or else the first that waits; of what was cut, all of it. */
  drop(): readonly E[] {
    const entries = this.#taken?.entries ?? this.#waiting.slice(0, 1).map(({ entry }) => entry)
    this.#taken = undefined
    this.#waiting = this.#waiting.slice(entries.length)
    return entries
  }

  /** What of the oldest append is in the log, in records. */
  get writtenOfFirst(): number {
    const [first] = this.#waiting
    if (first === undefined) return 0
    const rest = first.batches.reduce((sum, batch) => sum + offsetsIn(batch), 0)
    return first.entry.append.count - rest
  }

  /** The next batches that go together: one append whole, small ones with their neighbours, or one batch by itself. */
  #cut(): readonly Piece<E>[] {
    const [first] = this.#waiting
    assert(first !== undefined, 'something waits')
    if (first.batches.length > 1) {
      const isWhole =
        first.batches.every(isMergeable) && bytesOf(first.batches) <= this.#joinedBytesMax
      return [{ waiting: first, batches: isWhole ? first.batches : first.batches.slice(0, 1) }]
    }
    const limit = Math.min(JOINED_BYTES_MAX, this.#joinedBytesMax)
    const pieces: Piece<E>[] = []
    const piecesMax = this.#alone > 0 ? 1 : Number.POSITIVE_INFINITY
    this.#alone = Math.max(0, this.#alone - 1)
    let sizeBytes = 0
    for (const waiting of this.#waiting) {
      sizeBytes += bytesOf(waiting.batches)
      const joins = waiting.batches.length === 1 && waiting.batches.every(isMergeable)
      if (pieces.length > 0 && (!joins || sizeBytes > limit)) break
      if (pieces.length === piecesMax) break
      pieces.push({ waiting, batches: waiting.batches })
      if (!joins) break
    }
    return pieces
  }
}

interface Piece<E extends Entry> {
  readonly waiting: Waiting<E>
  readonly batches: readonly Uint8Array[]
}

function bytesOf(batches: readonly Uint8Array[]): number {
  return batches.reduce((sum, batch) => sum + batch.length, 0)
}
