/**
 * One partition as its sender sees it: what waits, under which sequence it goes, and what is known of the last attempt.
 *
 * Invariant: an epoch that has been left is never used again.
 */
import { assert } from '#system'

import { type Append, type Appended, partitionKey, type TopicPartition } from '../log.ts'
import {
  type Outgoing,
  PartitionAppends,
  type PartitionSequence,
  type SettledAppend,
} from './partition-appends.ts'
import { EPOCH_MAX } from './producer-identity.ts'
import { NO_PRODUCER, type ProducerIdentity } from './transaction-codec.ts'

/** An append that somebody waits for. */
export interface Pending {
  readonly append: Append
  readonly startedMs: number
  readonly deadlineMs: number
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: unknown) => void
}

export class SenderPartition {
  readonly place: TopicPartition
  readonly key: string
  readonly appends: PartitionAppends<Pending> = new PartitionAppends()
  /** Somebody takes care of it: it waits for its leader, its turn or an answer. */
  isBusy: boolean = false
  /** Failed attempts since the last that did not. */
  attempts: number = 0
  isLeaderStale: boolean = false
  lastError: unknown
  readonly #sequence: PartitionSequence
  /** What was taken carries a sequence of an epoch that has been left. */
  #isStampStale: boolean = false
  #maybeWritten: boolean = false
  #wasMaybeWritten: boolean = false

  constructor(place: TopicPartition, firstSequence: number) {
    this.place = place
    this.key = partitionKey(place)
    this.#sequence = { identity: NO_PRODUCER, next: firstSequence }
  }

  /** Whether it has a producer to write as. */
  get isKnown(): boolean {
    return this.#sequence.identity.producerId >= 0
  }

  introduce(identity: ProducerIdentity): void {
    assert(!this.isKnown, 'an identity is kept as long as it lasts')
    this.#sequence.identity = identity
  }

  /** When the oldest append is given up. */
  get deadlineMs(): number {
    return this.appends.first?.deadlineMs ?? Number.POSITIVE_INFINITY
  }

  /** What was taken last may be in the log, or may yet come to be. */
  get maybeWritten(): boolean {
    return this.#maybeWritten
  }

  /** The same before the last attempt. */
  get wasMaybeWritten(): boolean {
    return this.#wasMaybeWritten
  }

  /** The next batch, ready to go. */
  take(): Outgoing<Pending> {
    const taken = this.appends.take(this.#sequence, false)
    if (this.#isStampStale) this.appends.stamp(this.#sequence, false)
    this.#isStampStale = false
    return taken
  }

  sending(): void {
    this.#wasMaybeWritten = this.#maybeWritten
    this.#maybeWritten = true
  }

  /** The broker said that the last attempt wrote nothing. */
  notWritten(): void {
    this.#maybeWritten = this.#wasMaybeWritten
  }

  written(baseOffset: number): readonly SettledAppend<Pending>[] {
    this.attempts = 0
    this.#maybeWritten = false
    return this.appends.written(baseOffset, this.#sequence)
  }

  /** Sequences start anew, and what is on its way under the old ones will be refused. */
  nextEpoch(): void {
    const { producerId, epoch } = this.#sequence.identity
    this.#sequence.identity = epoch < EPOCH_MAX ? { producerId, epoch: epoch + 1 } : NO_PRODUCER
    this.#sequence.next = 0
    this.#isStampStale = true
    this.#maybeWritten = false
  }
}
