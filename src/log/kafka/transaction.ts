/**
 * One transaction, from the first Produce to the offsets: everything but its end.
 *
 * Version 2: the first batches of all partitions, one request a broker, broker after broker, because partitions that two brokers
 * add to a transaction at once make them wait for each other; then what is left; then all offsets in one request.
 * Version 1: all partitions and the group are added beforehand.
 *
 * Invariant: every batch carries the transactional bit and every request the transactional id; offsets go out once every append
 * is acknowledged, with the generation, member and instance under which they were sealed (R1).
 */
import type { Connection } from '@platformatic/kafka'
import { delay, jitteredBackoffMs } from '#system'

import {
  type Append,
  type Appended,
  LogError,
  partitionKey,
  type SealedCommit,
  type TopicPartition,
} from '../log.ts'
import type { CoordinatorKind } from './cluster.ts'
import { isOversized, isStaleCoordinator, isStaleLeader, NO_ERROR } from './errors.ts'
import { refusal } from './append-errors.ts'
import { describeGroups } from './group-descriptions.ts'
import { PartitionAppends } from './partition-appends.ts'
import { type ProduceAnswer, produceV11, produceV12 } from './produce-codec.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  type PartitionCode,
  txnOffsetCommitV4,
  txnOffsetCommitV5,
} from './transaction-codec.ts'
import { failureOf, type Step, TransactionFailure, verdictOf } from './transaction-errors.ts'
import type { TransactionalProducer } from './transactional-producer.ts'

const CALL_TIMEOUT_MS = 5_000
const REPLICAS_TIMEOUT_MS = 4_000
const BACKOFF = { baseMs: 10, maxMs: 500 }
/** UNKNOWN_SERVER_ERROR stands for an answer without what was asked for. */
const NO_ANSWER = -1

interface Numbered {
  readonly append: Append
  readonly index: number
}

interface Target {
  readonly place: TopicPartition
  readonly appends: PartitionAppends<Numbered>
}

export class Transaction {
  readonly #producer: TransactionalProducer
  readonly #sealed: SealedCommit
  readonly #deadlineMs: number
  readonly #targets: Map<string, Target> = new Map()
  readonly #appended: Appended[] = []
  /** Why something is tried again. */
  #lastError: LogError | undefined
  /** Something may have reached a broker, so that there is something to end. */
  isBegun: boolean = false

  constructor(producer: TransactionalProducer, sealed: SealedCommit, deadlineMs: number) {
    this.#producer = producer
    this.#sealed = sealed
    this.#deadlineMs = deadlineMs
  }

  /** Everything that can be seen to be wrong before anything is sent. */
  async check(): Promise<void> {
    const { cluster } = this.#producer
    for (const [index, append] of this.#sealed.appends.entries()) {
      const { topic, partition } = append
      const key = partitionKey(append)
      const target = this.#targets.get(key) ?? {
        place: { topic, partition },
        appends: new PartitionAppends<Numbered>(),
      }
      this.#targets.set(key, target)
      target.appends.push({ append, index })
    }
    for (const { place } of this.#targets.values()) await cluster.leader(place)
    for (const { topic, partition } of this.#sealed.offsets) {
      await cluster.leader({ topic, partition })
    }
    const { groupId, member } = this.#sealed
    if (groupId !== undefined && member === undefined) await this.#refuseMembers(groupId)
  }

  /** Writes every append; where each of them lies, in their order. */
  async write(): Promise<readonly Appended[]> {
    const { isVersion2, options } = this.#producer
    if (this.#targets.size > 0 && !isVersion2) await this.#addPartitions()
    let isFirst = isVersion2
    while (this.#open().length > 0) {
      await this.#writeNext(isFirst)
      isFirst = false
      if (this.#open().length > 0) options.failpoint('log:between-produces')
    }
    return this.#appended
  }

  async commitOffsets(): Promise<void> {
    const { offsets } = this.#sealed
    if (offsets.length === 0) return
    const { isVersion2, options, request } = this.#producer
    options.failpoint('log:before-offsets')
    const { member } = this.#sealed
    const groupId = member?.groupId ?? this.#sealed.groupId ?? ''
    const where = `committing offsets of ${groupId}`
    const { transactionalId } = options
    if (!isVersion2) {
      await this.#ask('add', where, 'transaction', transactionalId, async (connection) => [
        { code: await addOffsetsToTxn.async(connection, { ...request, groupId }) },
      ])
    }
    const commit = isVersion2 ? txnOffsetCommitV5 : txnOffsetCommitV4
    await this.#ask('offsets', where, 'group', groupId, (connection) =>
      commit.async(connection, {
        ...request,
        groupId,
        // Without a member the group has none: the broker takes generation −1 unchecked.
        generation: member?.generation ?? -1,
        memberId: member?.memberId ?? '',
        instanceId: member?.instanceId ?? null,
        offsets,
      }),
    )
  }

  /** Looked up before, since the broker would take the offsets: who joins in between is not seen. */
  async #refuseMembers(groupId: string): Promise<void> {
    const [group] = await describeGroups(this.#producer.cluster, [groupId])
    const count = group?.members.length ?? 0
    if (count === 0) return
    const message = `group ${groupId} has ${count} members: only they commit its offsets`
    throw new LogError('LOG_FENCED', message)
  }

  #open(): readonly Target[] {
    return [...this.#targets.values()].filter(({ appends }) => !appends.isEmpty)
  }

  async #addPartitions(): Promise<void> {
    const { options, request } = this.#producer
    const partitions = [...this.#targets.values()].map(({ place }) => place)
    const where = `adding partitions to a transaction of ${options.transactionalId}`
    await this.#ask('add', where, 'transaction', options.transactionalId, (connection) =>
      addPartitionsToTxn.async(connection, { ...request, partitions }),
    )
  }

  /** The next batch of every partition that has one. */
  async #writeNext(oneByOne: boolean): Promise<void> {
    let pending = this.#open()
    for (let attempt = 0; pending.length > 0; attempt += 1) {
      if (attempt > 0) await this.#pause(attempt, this.#lastError)
      const { failpoint } = this.#producer.options
      const failed: Target[] = []
      const requests: Promise<readonly Target[]>[] = []
      for (const [nodeId, targets] of await this.#byLeader(pending)) {
        if (requests.length > 0) failpoint('log:between-produces')
        const request = this.#produce(nodeId, targets)
        requests.push(request)
        if (oneByOne) failed.push(...(await request))
      }
      // All of them end before the transaction does, also if one ends it.
      const settled = await Promise.allSettled(oneByOne ? [] : requests)
      for (const each of settled) {
        if (each.status === 'rejected') throw each.reason
        failed.push(...each.value)
      }
      pending = failed
    }
  }

  async #byLeader(targets: readonly Target[]): Promise<ReadonlyMap<number, Target[]>> {
    const groups = new Map<number, Target[]>()
    for (const target of targets) {
      const { nodeId } = await this.#producer.cluster.leader(target.place)
      const group = groups.get(nodeId)
      if (group === undefined) groups.set(nodeId, [target])
      else group.push(target)
    }
    return groups
  }

  /** One request; the partitions that have to be tried again. */
  async #produce(nodeId: number, targets: readonly Target[]): Promise<readonly Target[]> {
    const { cluster, isVersion2, options } = this.#producer
    const batches = targets.map(({ place, appends }) => ({
      ...place,
      batch: appends.take(this.#producer.sequence(place), true).bytes,
    }))
    const { transactionalId, lane } = options
    const request = { transactionalId, timeoutMs: REPLICAS_TIMEOUT_MS, batches }
    const produce = isVersion2 ? produceV12 : produceV11
    let answers: readonly ProduceAnswer[]
    try {
      this.isBegun = true
      answers = await cluster.call(
        nodeId,
        'produce',
        this.#callTimeoutMs(),
        (connection) => produce.async(connection, request),
        lane,
      )
    } catch (error) {
      this.#mayTryAgain(error)
      await this.#refresh(targets)
      return targets
    }
    const byPlace = new Map(answers.map((answer) => [partitionKey(answer), answer]))
    const failed = targets.filter((target) => !this.#take(target, byPlace))
    const stale = failed.filter(({ place }) => {
      const answer = byPlace.get(partitionKey(place))
      return answer?.leader === undefined && isStaleLeader(answer?.code ?? NO_ERROR)
    })
    if (stale.length > 0) await this.#refresh(stale)
    return failed
  }

  /** True if the batch is written. */
  #take({ place, appends }: Target, answers: ReadonlyMap<string, ProduceAnswer>): boolean {
    const answer = answers.get(partitionKey(place))
    const where = `writing to ${partitionKey(place)} in a transaction`
    if (answer === undefined) throw failureOf('produce', NO_ANSWER, where, { at: place })
    const { code, detail, leader, baseOffset } = answer
    if (code === NO_ERROR) {
      const sequence = this.#producer.sequence(place)
      for (const { entry, appended } of appends.written(baseOffset, sequence)) {
        this.#appended[entry.index] = appended
      }
      return true
    }
    if (leader !== undefined) this.#producer.cluster.leaderHint(place, leader)
    const failure = failureOf('produce', code, where, { at: place, detail })
    if (isOversized(code)) {
      const entry = appends.refused(true)
      if (entry === undefined) return false
      const known = { isTooLarge: true, writtenOfFirst: 0 }
      throw new TransactionFailure('abort', refusal(entry.append, failure, known))
    }
    if (verdictOf('produce', code) !== 'retry') throw failure
    this.#lastError = failure
    return false
  }

  /** A request to a coordinator, until no code in its answer says "again". */
  async #ask(
    step: Step,
    where: string,
    kind: CoordinatorKind,
    key: string,
    exchange: (connection: Connection) => Promise<readonly Partial<PartitionCode>[]>,
  ): Promise<void> {
    const { cluster, options } = this.#producer
    for (let attempt = 0; ; attempt += 1) {
      if (attempt > 0) await this.#pause(attempt, this.#lastError)
      try {
        const nodeId = await cluster.coordinator(kind, key)
        this.isBegun = true
        const timeoutMs = this.#callTimeoutMs()
        const answer = await cluster.call(nodeId, 'transaction', timeoutMs, exchange, options.lane)
        const codes = answer.filter(({ code }) => code !== NO_ERROR)
        if (codes.length === 0) return
        this.#judge(step, where, codes)
        if (codes.some(({ code }) => isStaleCoordinator(code ?? NO_ERROR))) {
          cluster.forgetCoordinator(kind, key)
        }
      } catch (error) {
        this.#mayTryAgain(error)
        cluster.forgetCoordinator(kind, key)
      }
    }
  }

  /** Throws if one of the codes ends the transaction; each partition has its own. */
  #judge(step: Step, where: string, codes: readonly Partial<PartitionCode>[]): void {
    for (const { code = NO_ANSWER, topic, partition } of codes) {
      const at = topic === undefined || partition === undefined ? undefined : { topic, partition }
      const failure = failureOf(step, code, where, at && { at })
      if (verdictOf(step, code) !== 'retry') throw failure
      this.#lastError = failure
    }
  }

  #mayTryAgain(error: unknown): void {
    if (error instanceof TransactionFailure) throw error
    if (!(error instanceof LogError) || error.code !== 'LOG_UNAVAILABLE') throw error
    this.#lastError = error
  }

  async #refresh(targets: readonly Target[]): Promise<void> {
    try {
      await this.#producer.cluster.refresh(targets.map(({ place }) => place.topic))
    } catch (error) {
      this.#mayTryAgain(error)
    }
  }

  #callTimeoutMs(): number {
    const leftMs = this.#deadlineMs - this.#producer.cluster.clock.elapsedMs()
    return Math.max(1, Math.min(leftMs, CALL_TIMEOUT_MS))
  }

  async #pause(attempt: number, error: LogError | undefined): Promise<void> {
    const { clock, random } = this.#producer.cluster
    const backoffMs = jitteredBackoffMs(random, attempt, BACKOFF)
    if (clock.elapsedMs() + backoffMs >= this.#deadlineMs) {
      const message = `a transaction of ${this.#producer.options.transactionalId} took too long`
      const why = error === undefined ? '' : `: ${error.message}`
      throw new TransactionFailure(
        'abort',
        new LogError('LOG_UNAVAILABLE', `${message}${why}`, { retriable: true, cause: error }),
      )
    }
    await delay(clock, backoffMs)
  }
}
