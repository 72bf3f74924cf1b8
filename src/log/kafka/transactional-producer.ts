/**
 * The producer behind one transactional id: who it is, its sequences, and how its transactions end.
 *
 * Version 2 of the protocol gives a new epoch with the end of every transaction, so that nothing late of an earlier one is taken
 * for the next. With version 1 a late EndTxn would commit what the next transaction has written so far: there an EndTxn that
 * was not answered is never sent again, and after it, as after an abort, the epoch is raised before anything else is written.
 *
 * Invariant: no transaction is written under an identity that an unanswered EndTxn may have used up.
 */
import { assert, delay, type Failpoint, jitteredBackoffMs } from '#system'

import { LogError, partitionKey, type TopicPartition } from '../log.ts'
import type { Cluster } from './cluster.ts'
import { isStaleCoordinator, kafkaError, NO_ERROR } from './errors.ts'
import type { PartitionSequence } from './partition-appends.ts'
import { initTransactions } from './producer-identity.ts'
import {
  endTxnV4,
  endTxnV5,
  type IdentityAnswer,
  NO_PRODUCER,
  type ProducerIdentity,
  type TransactionRequest,
} from './transaction-codec.ts'
import { isBegun, verdictOf } from './transaction-errors.ts'

const INIT_TIMEOUT_MS = 60_000
const CALL_TIMEOUT_MS = 5_000
/** CONCURRENT_TRANSACTIONS is gone after 2 to 25 ms. */
const BACKOFF = { baseMs: 10, maxMs: 500 }

export interface ProducerOptions {
  readonly transactionalId: string
  /** The broker aborts a transaction that has not ended after so long. */
  readonly timeoutMs: number
  readonly lane: string
  readonly failpoint: Failpoint
}

/** How a transaction ended: for certain, because somebody else ended it, or nobody here knows. */
export type Ending =
  | { readonly kind: 'ended' }
  | { readonly kind: 'fenced'; readonly error: LogError }
  | { readonly kind: 'refused'; readonly error: LogError }
  | { readonly kind: 'unknown'; readonly error: LogError }

export class TransactionalProducer {
  readonly cluster: Cluster
  readonly options: ProducerOptions
  /** Version 2 of the protocol, which the cluster has finalized or not: decided once. */
  readonly isVersion2: boolean
  #identity: ProducerIdentity = NO_PRODUCER
  #needsEpoch: boolean = false
  readonly #sequences: Map<string, PartitionSequence> = new Map()

  constructor(cluster: Cluster, options: ProducerOptions) {
    this.cluster = cluster
    this.options = options
    this.isVersion2 = cluster.transactionVersion >= 2
  }

  /** Fences earlier writers of the id and ends what they left open (R3). */
  init(): Promise<void> {
    return this.#init(NO_PRODUCER, INIT_TIMEOUT_MS)
  }

  /** Before a transaction is written. */
  async ready(deadlineMs: number): Promise<void> {
    if (!this.#needsEpoch) return
    await this.#init(this.#identity, deadlineMs - this.cluster.clock.elapsedMs())
  }

  get request(): TransactionRequest {
    assert(this.#identity.producerId >= 0, 'who writes has been told who it is')
    return { ...this.#identity, transactionalId: this.options.transactionalId }
  }

  sequence(place: TopicPartition): PartitionSequence {
    const key = partitionKey(place)
    const known = this.#sequences.get(key)
    if (known !== undefined) return known
    const made = { identity: this.#identity, next: 0 }
    this.#sequences.set(key, made)
    return made
  }

  /** EndTxn, until it is answered or the time is up. */
  async end(commits: boolean, deadlineMs: number): Promise<Ending> {
    const { clock, random } = this.cluster
    const where = `${commits ? 'committing' : 'aborting'} a transaction of ${this.options.transactionalId}`
    // As soon as one request may have been acted upon, a refusal of the next no longer says that nothing was done.
    let mayHaveEnded = false
    for (let attempt = 0; ; attempt += 1) {
      let error: LogError
      try {
        const answer = await this.#askToEnd(commits, deadlineMs)
        if (answer.code === NO_ERROR) {
          this.#ended(commits, answer)
          return { kind: 'ended' }
        }
        error = kafkaError(answer.code, where)
        const verdict = verdictOf('end', answer.code)
        if (verdict === 'fenced') return { kind: mayHaveEnded ? 'unknown' : 'fenced', error }
        if (verdict === 'abort' && !mayHaveEnded) return { kind: 'refused', error }
        if (verdict !== 'retry') return { kind: 'unknown', error }
        mayHaveEnded ||= isBegun(answer.code)
      } catch (failure) {
        if (!(failure instanceof LogError)) throw failure
        error = failure
        mayHaveEnded = true
        if (!this.isVersion2 || error.code === 'LOG_CLOSED') return { kind: 'unknown', error }
      }
      const backoffMs = jitteredBackoffMs(random, attempt, BACKOFF)
      if (clock.elapsedMs() + backoffMs >= deadlineMs) return { kind: 'unknown', error }
      await delay(clock, backoffMs)
    }
  }

  async #init(current: ProducerIdentity, timeoutMs: number): Promise<void> {
    const { cluster, options } = this
    const { lane, transactionalId } = options
    const deadlineMs = cluster.clock.elapsedMs() + timeoutMs
    const request = { transactionalId, timeoutMs: options.timeoutMs, current }
    this.#identity = await initTransactions(cluster, deadlineMs, lane, request)
    this.#sequences.clear()
    this.#needsEpoch = false
  }

  async #askToEnd(commits: boolean, deadlineMs: number): Promise<IdentityAnswer> {
    const { cluster, options, request } = this
    const { transactionalId, lane, failpoint } = options
    const endTxn = this.isVersion2 ? endTxnV5 : endTxnV4
    const leftMs = deadlineMs - cluster.clock.elapsedMs()
    try {
      const coordinator = await cluster.coordinator('transaction', transactionalId)
      const answer = await cluster.call(
        coordinator,
        'transaction',
        Math.max(1, Math.min(leftMs, CALL_TIMEOUT_MS)),
        async (connection) => {
          const ended = await endTxn.async(connection, { ...request, commits })
          if (commits) failpoint('log:after-end')
          return ended
        },
        lane,
      )
      if (isStaleCoordinator(answer.code)) {
        cluster.forgetCoordinator('transaction', transactionalId)
      }
      return answer
    } catch (error) {
      cluster.forgetCoordinator('transaction', transactionalId)
      throw error
    }
  }

  #ended(commits: boolean, { producerId, epoch }: IdentityAnswer): void {
    if (!this.isVersion2 || producerId < 0) {
      // Which of its sequences were taken nobody has to know, if they start anew.
      this.#needsEpoch = this.isVersion2 || !commits
      return
    }
    this.#sequences.clear()
    this.#identity = { producerId, epoch }
  }
}
