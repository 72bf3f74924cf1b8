/** A transactional producer without any care: transactions stay open, interleave and are aborted as a test wants it. */
import { asBuffer } from '#system'

import type { TopicPartition } from '../../log.ts'
import { appendOf, type PlainRecord } from '../../log.contract/records.ts'
import { stampProducer } from '../../record-batch.ts'
import type { Cluster } from '../cluster.ts'
import { kafkaError, NO_ERROR } from '../errors.ts'
import { produceV12 } from '../produce-codec.ts'
import { initTransactions } from '../producer-identity.ts'
import { endTxnV5, NO_PRODUCER, type ProducerIdentity } from '../transaction-codec.ts'

const TIMEOUT_MS = 20_000
const EVERYBODYS_LANE = ''

export class RawTransactions {
  readonly #cluster: Cluster
  readonly #id: string
  #identity: ProducerIdentity
  readonly #sequences: Map<string, number> = new Map()

  private constructor(cluster: Cluster, id: string, identity: ProducerIdentity) {
    this.#cluster = cluster
    this.#id = id
    this.#identity = identity
  }

  static async open(cluster: Cluster, transactionalId: string): Promise<RawTransactions> {
    const request = { transactionalId, timeoutMs: 60_000, current: NO_PRODUCER }
    const deadlineMs = cluster.clock.elapsedMs() + TIMEOUT_MS
    const identity = await initTransactions(cluster, deadlineMs, EVERYBODYS_LANE, request)
    return new RawTransactions(cluster, transactionalId, identity)
  }

  /** One batch, in the transaction that is open, or opens with it. */
  async write(place: TopicPartition, records: readonly (string | PlainRecord)[]): Promise<void> {
    const key = `${place.topic}-${place.partition}`
    const baseSequence = this.#sequences.get(key) ?? 0
    const batch = asBuffer(appendOf(place, records).bytes)
    stampProducer(batch, { ...this.#identity, baseSequence, transactional: true })
    await this.#cluster.retrying(this.#cluster.clock.elapsedMs() + TIMEOUT_MS, async () => {
      const { nodeId } = await this.#cluster.leader(place)
      const request = {
        transactionalId: this.#id,
        timeoutMs: TIMEOUT_MS,
        batches: [{ ...place, batch }],
      }
      const [answer] = await this.#cluster.call(nodeId, 'produce', TIMEOUT_MS, (connection) =>
        produceV12.async(connection, request),
      )
      if (answer === undefined || answer.code !== NO_ERROR) {
        throw kafkaError(answer?.code ?? -1, `writing to ${key}`)
      }
    })
    this.#sequences.set(key, baseSequence + records.length)
  }

  async end(outcome: 'commit' | 'abort'): Promise<void> {
    const request = {
      ...this.#identity,
      transactionalId: this.#id,
      commits: outcome === 'commit',
    }
    const cluster = this.#cluster
    const id = this.#id
    this.#identity = await cluster.retrying(cluster.clock.elapsedMs() + TIMEOUT_MS, async () => {
      const nodeId = await cluster.coordinator('transaction', id)
      const answer = await cluster.call(nodeId, 'transaction', TIMEOUT_MS, (connection) =>
        endTxnV5.async(connection, request),
      )
      const { code, ...identity } = answer
      if (code === NO_ERROR) return identity
      cluster.forgetCoordinator('transaction', id)
      throw kafkaError(code, `the transaction of ${id}`)
    })
    this.#sequences.clear()
  }
}
