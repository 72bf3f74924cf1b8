/**
 * A broker in memory that can be caught half-way: transactions are open for a while, markers come to each partition in their own
 * time, offsets are pending until theirs has come, and whoever is fenced is told so. Groups are the real ones.
 *
 * Invariant: each method is one synchronous step; what it starts goes on as steps of its own.
 */
import {
  LogError,
  partitionKey,
  type Append,
  type Appended,
  type CommittedOffset,
  type OffsetCommit,
  type SealedCommit,
  type TopicDescription,
  type TopicPartition,
  type TopicSpec,
} from '#log'
import { MemoryGroups, splitBatches } from '#log/parts'
import type { Clock } from '#system'
import { BrokerPartition } from './broker-partition.ts'
import { BrokerTransaction } from './broker-transaction.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seeded-random.ts'

const BATCH_BYTES_MAX = 1_048_588
/** A marker on its way: mostly soon, at times long after the next has come elsewhere. */
const MARKER_MS_MAX = 8
const LATE_MARKER_MS_MAX = 400
const LATE_MARKER_CHANCE = 0.15

export interface BrokerTopic extends TopicDescription {
  readonly kept: readonly BrokerPartition[]
}

/** What is told of each commit at the moment it counts. */
export interface Decided {
  readonly appends: readonly { readonly append: Append; readonly appended: Appended }[]
  readonly offsets: readonly OffsetCommit[]
}

interface Writer {
  epoch: number
  transaction: BrokerTransaction | undefined
}

export interface BrokerSetup {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly clock: Clock
  /** A commit is one step, as on the embedded log. */
  readonly isOneStep: boolean
  readonly transactionTimeoutMs: number
  readonly onCommitted: (decided: Decided) => void
  readonly count: (what: string) => void
}

export class Broker {
  readonly id: string
  readonly groups: MemoryGroups
  readonly topics: Map<string, BrokerTopic> = new Map()
  readonly #setup: BrokerSetup
  readonly #writers = new Map<string, Writer>()
  #waiting: (() => void)[] = []

  constructor(setup: BrokerSetup) {
    this.#setup = setup
    const { random, clock } = setup
    this.id = random.uuid()
    const partitionCount = (topic: string): number | undefined => this.topics.get(topic)?.partitions
    this.groups = new MemoryGroups({ clock, random, partitionCount })
  }

  get isOneStep(): boolean {
    return this.#setup.isOneStep
  }

  createTopics(specs: readonly TopicSpec[]): void {
    for (const { topic, partitions, config } of specs) {
      if (this.topics.has(topic)) continue
      const kept = Array.from({ length: partitions }, (_, n) => new BrokerPartition(topic, n))
      this.topics.set(topic, {
        topic,
        partitions,
        config,
        topicId: this.#setup.random.uuid(),
        kept,
      })
    }
  }

  partition({ topic, partition }: TopicPartition): BrokerPartition {
    const found = this.topics.get(topic)?.kept[partition]
    if (found !== undefined) return found
    throw new LogError('TOPIC_UNKNOWN', `there is no ${topic}-${partition}`)
  }

  /** Resolves when anything that can be read or waited for has changed. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  append(append: Append): Appended {
    const appended = this.partition(append).append(splitBatches(append, BATCH_BYTES_MAX), undefined)
    this.#change()
    return appended
  }

  // -------------------------------------------------------------- transactions

  /** Fences every earlier writer of the id, and ends what it left open; the epoch, once that has ended everywhere. */
  async initWriter(transactionalId: string): Promise<number> {
    const writer = this.#writers.get(transactionalId) ?? { epoch: -1, transaction: undefined }
    this.#writers.set(transactionalId, writer)
    writer.epoch += 1
    const { epoch, transaction } = writer
    if (transaction?.state === 'open') this.#decide(transaction, 'aborted')
    const isOver = (): boolean => transaction?.isDone !== false
    while (!isOver()) await this.changed()
    return epoch
  }

  /** Waits until the last transaction of this writer has ended everywhere (CONCURRENT_TRANSACTIONS). */
  async produce(
    transactionalId: string,
    epoch: number,
    appends: readonly Append[],
  ): Promise<readonly Appended[]> {
    const transaction = await this.#transactionOf(transactionalId, epoch)
    return appends.map((append) => {
      const partition = this.partition(append)
      const appended = partition.append(splitBatches(append, BATCH_BYTES_MAX), transaction)
      transaction.partitions.add(partition)
      transaction.appends.push({ append, appended })
      this.#change()
      return appended
    })
  }

  async addOffsets(transactionalId: string, epoch: number, sealed: SealedCommit): Promise<void> {
    const transaction = await this.#transactionOf(transactionalId, epoch)
    const { groupId, offsets } = sealed
    if (groupId === undefined) return
    this.#assertMayCommit({ ...sealed, groupId })
    transaction.groupId = groupId
    transaction.offsets = [...transaction.offsets, ...offsets]
    transaction.holdsOffsets = true
    this.#change()
  }

  /** The commit point, or the end of it all. Who was fenced or comes after the end is told so. */
  end(transactionalId: string, epoch: number, outcome: 'committed' | 'aborted'): void {
    const writer = this.#writerOf(transactionalId, epoch)
    const { transaction } = writer
    if (transaction?.state === 'open') {
      this.#decide(transaction, outcome)
      return
    }
    if (transaction?.state === outcome) return
    throw new LogError('LOG_FENCED', `${transactionalId} has no open transaction`)
  }

  /** Everything in one step, as the embedded log does it. */
  commitWhole(transactionalId: string, epoch: number, sealed: SealedCommit): readonly Appended[] {
    this.#writerOf(transactionalId, epoch)
    const { groupId, offsets, appends } = sealed
    if (groupId !== undefined) this.#assertMayCommit({ ...sealed, groupId })
    const appended = appends.map((append) =>
      this.partition(append).append(splitBatches(append, BATCH_BYTES_MAX), undefined),
    )
    if (groupId !== undefined) this.groups.setOffsets(groupId, offsets)
    this.#setup.onCommitted({
      appends: appends.map((append, n) => ({ append, appended: appended[n] ?? NOTHING_APPENDED })),
      offsets,
    })
    this.#change()
    return appended
  }

  /** Waits out pending ones. */
  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    const asked = new Set(partitions.map(partitionKey))
    while (this.#isPending(groupId, asked)) await this.changed()
    return this.groups.committedOffsets(groupId, partitions)
  }

  /** Whether any transaction is open or has not ended everywhere. */
  get hasOpenTransactions(): boolean {
    return [...this.#writers.values()].some(({ transaction }) => transaction?.isDone === false)
  }

  #assertMayCommit(sealed: SealedCommit & { readonly groupId: string }): void {
    try {
      this.groups.assertMayCommit(sealed)
    } catch (error) {
      this.#setup.count('member refused')
      throw error
    }
  }

  #isPending(groupId: string, asked: ReadonlySet<string>): boolean {
    for (const { transaction } of this.#writers.values()) {
      if (transaction?.holdsOffsets !== true || transaction.groupId !== groupId) continue
      if (transaction.offsets.some((offset) => asked.has(partitionKey(offset)))) return true
    }
    return false
  }

  async #transactionOf(transactionalId: string, epoch: number): Promise<BrokerTransaction> {
    for (;;) {
      const writer = this.#writerOf(transactionalId, epoch)
      const { transaction } = writer
      if (transaction?.state === 'open') return transaction
      if (transaction === undefined || transaction.isDone)
        return this.#begin(transactionalId, writer)
      await this.changed()
    }
  }

  #begin(transactionalId: string, writer: Writer): BrokerTransaction {
    const { scheduler, transactionTimeoutMs } = this.#setup
    const begun = new BrokerTransaction(transactionalId, writer.epoch, scheduler.nowMs)
    writer.transaction = begun
    scheduler.after(transactionTimeoutMs, undefined, 'transaction timeout', () => {
      if (begun.state !== 'open') return
      this.#setup.count('transaction timeout')
      // Whoever has it still open is fenced, as Kafka does it.
      writer.epoch += 1
      this.#decide(begun, 'aborted')
    })
    return begun
  }

  #writerOf(transactionalId: string, epoch: number): Writer {
    const writer = this.#writers.get(transactionalId)
    if (writer !== undefined && writer.epoch === epoch) return writer
    this.#setup.count('writer refused')
    throw new LogError('LOG_FENCED', `a newer writer of ${transactionalId} has taken over`)
  }

  #decide(transaction: BrokerTransaction, outcome: 'committed' | 'aborted'): void {
    const { scheduler, random, onCommitted } = this.#setup
    transaction.state = outcome
    scheduler.note(`${outcome} ${transaction.transactionalId}`)
    if (outcome === 'committed') onCommitted(transaction)
    let markers = transaction.partitions.size + 1
    const marked = (label: string, mark: () => void): void => {
      const isLate = random.chance(LATE_MARKER_CHANCE)
      const delayMs = random.next() * (isLate ? LATE_MARKER_MS_MAX : MARKER_MS_MAX)
      scheduler.after(delayMs, undefined, label, () => {
        mark()
        markers -= 1
        transaction.isDone = markers === 0
        this.#change()
      })
    }
    for (const partition of transaction.partitions) {
      marked('marker', () => partition.mark(transaction))
    }
    marked('offset marker', () => {
      const { groupId, offsets } = transaction
      transaction.holdsOffsets = false
      if (outcome === 'committed' && groupId !== undefined) this.groups.setOffsets(groupId, offsets)
    })
  }

  #change(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

const NOTHING_APPENDED: Appended = { baseOffset: 0, count: 0 }
