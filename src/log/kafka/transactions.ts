/**
 * A writer of a Kafka log: appends through an idempotent sender, commits through transactions, each with a producer of its own.
 *
 * Invariant: `commit` never rejects. It ends `aborted` only if nothing of it is or ever will be visible: nothing was sent, EndTxn
 * said so, or somebody has fenced this writer. Whatever else goes wrong ends `unknown`.
 */
import { type Failpoint, noFailpoint } from '#system'
import { Buffer } from 'node:buffer'

import {
  type Append,
  type Appended,
  type CommitResult,
  LogError,
  type LogWriter,
  partitionKey,
  type SealedCommit,
} from '../log.ts'
import type { Cluster } from './cluster.ts'
import { Sender } from './sender.ts'
import { Transaction } from './transaction.ts'
import { TransactionFailure } from './transaction-errors.ts'
import { TransactionalProducer } from './transactional-producer.ts'

/** Where a drill may kill a process inside a commit, in the order in which one passes them. */
export const KAFKA_FAILPOINTS: readonly string[] = [
  'log:received',
  'log:between-produces',
  'log:before-offsets',
  'log:before-end',
  'log:after-end',
]

/** A writer that dies inside a commit holds readers up for so long, and until the broker's next check (R23). */
const TRANSACTION_TIMEOUT_MS = 20_000
/** What of that time a commit may take until its end is asked for, and until an answer is waited for. */
const WRITE_SHARE = 0.6
/** Brokers take no more unless told to (`offset.metadata.max.bytes`). */
const METADATA_BYTES_MAX = 4_096

export interface WriterOptions {
  /** A writer without one only appends. */
  readonly transactionalId?: string
  /** The broker aborts a transaction of this writer after so long. */
  readonly transactionTimeoutMs?: number
  readonly failpoint?: Failpoint
}

export async function createWriter(
  cluster: Cluster,
  options: WriterOptions = {},
): Promise<LogWriter> {
  const { transactionalId, failpoint = noFailpoint } = options
  const lane = cluster.openLane()
  if (transactionalId === undefined) return new KafkaWriter(cluster, lane, undefined)
  const producer = new TransactionalProducer(cluster, {
    transactionalId,
    timeoutMs: options.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS,
    lane,
    failpoint,
  })
  try {
    await producer.init()
  } catch (error) {
    cluster.closeLane(lane)
    throw error
  }
  return new KafkaWriter(cluster, lane, producer)
}

class KafkaWriter implements LogWriter {
  readonly #cluster: Cluster
  readonly #lane: string
  /** Undefined for a writer that only appends. */
  readonly #producer: TransactionalProducer | undefined
  readonly #sender: Sender
  #committing: Promise<CommitResult> | undefined
  #closed: boolean = false
  /** Why nothing can be committed any more. */
  #ended: LogError | undefined

  constructor(cluster: Cluster, lane: string, producer: TransactionalProducer | undefined) {
    this.#cluster = cluster
    this.#lane = lane
    this.#producer = producer
    this.#sender = new Sender(cluster, { lane })
  }

  append(append: Append): Promise<Appended> {
    if (this.#closed) return Promise.reject(closedError())
    return this.#sender.append(append)
  }

  flush(): Promise<void> {
    return this.#sender.flush()
  }

  async commit(sealed: SealedCommit): Promise<CommitResult> {
    const producer = this.#producer
    const error = this.#refusal(sealed)
    if (error !== undefined || producer === undefined) return { outcome: 'aborted', error }
    if (sealed.appends.length === 0 && sealed.offsets.length === 0) {
      return { outcome: 'committed', appended: [] }
    }
    this.#committing = this.#run(producer, sealed)
    try {
      return await this.#committing
    } catch (failure) {
      return this.#unknown(failure)
    } finally {
      this.#committing = undefined
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([this.#sender.settled(), this.#committing])
    this.#cluster.closeLane(this.#lane)
  }

  async #run(producer: TransactionalProducer, sealed: SealedCommit): Promise<CommitResult> {
    const { timeoutMs, failpoint } = producer.options
    const startedMs = this.#cluster.clock.elapsedMs()
    const deadlineMs = startedMs + timeoutMs
    const transaction = new Transaction(producer, sealed, startedMs + timeoutMs * WRITE_SHARE)
    let appended: readonly Appended[]
    try {
      failpoint('log:received')
      await producer.ready(deadlineMs)
      await transaction.check()
      appended = await transaction.write()
      await transaction.commitOffsets()
    } catch (error) {
      return this.#abort(producer, transaction, deadlineMs, error)
    }
    failpoint('log:before-end')
    const ending = await producer.end(true, deadlineMs)
    switch (ending.kind) {
      case 'ended':
        return { outcome: 'committed', appended }
      case 'fenced':
        return this.#fenced(ending.error)
      case 'refused':
        return this.#abort(producer, transaction, deadlineMs, ending.error)
      case 'unknown':
        return this.#unknown(ending.error)
    }
  }

  /** After a failure: makes sure that nothing of the transaction will be visible, or says that this is not sure. */
  async #abort(
    producer: TransactionalProducer,
    transaction: Transaction,
    deadlineMs: number,
    error: unknown,
  ): Promise<CommitResult> {
    if (error instanceof TransactionFailure && error.verdict === 'fenced') {
      return this.#fenced(error)
    }
    if (!transaction.isBegun) return { outcome: 'aborted', error }
    const ending = await producer.end(false, deadlineMs)
    if (ending.kind === 'ended') return { outcome: 'aborted', error }
    if (ending.kind === 'fenced') return this.#fenced(ending.error)
    return this.#unknown(error)
  }

  #fenced(error: LogError): CommitResult {
    const id = this.#producer?.options.transactionalId
    const message = `another writer of ${id}, or the broker's time-out, has ended this one's transaction`
    this.#ended = new LogError('LOG_FENCED', message, { cause: error })
    return { outcome: 'aborted', error: this.#ended }
  }

  #unknown(error: unknown): CommitResult {
    const id = this.#producer?.options.transactionalId
    const message = `how the last commit of ${id} ended is not known: recover with a new writer`
    this.#ended = new LogError('LOG_MISUSE', message, { cause: error })
    return { outcome: 'unknown', error }
  }

  #refusal({ appends, offsets, groupId, member }: SealedCommit): LogError | undefined {
    if (this.#closed) return closedError()
    if (this.#producer === undefined) {
      return misuse('a writer without a transactional id cannot commit')
    }
    if (this.#committing !== undefined) {
      return misuse('a commit is in flight: await it before the next')
    }
    if (this.#ended !== undefined && appends.length + offsets.length > 0) return this.#ended
    if (offsets.length > 0 && groupId === undefined && member === undefined) {
      return misuse('offsets belong to a group: name it')
    }
    for (const { topic, partition, metadata } of offsets) {
      const sizeBytes = Buffer.byteLength(metadata)
      if (sizeBytes <= METADATA_BYTES_MAX) continue
      const at = { topic, partition }
      const sizes = `${sizeBytes} bytes of metadata, the most is ${METADATA_BYTES_MAX}`
      return new LogError('RECORD_TOO_LARGE', `${partitionKey(at)}: ${sizes}`, { at })
    }
    return undefined
  }
}

const closedError = (): LogError => new LogError('LOG_CLOSED', 'the writer is closed')
const misuse = (message: string): LogError => new LogError('LOG_MISUSE', message)
