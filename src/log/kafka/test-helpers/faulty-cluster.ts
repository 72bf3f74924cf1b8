/**
 * A real cluster whose requests and answers get lost as a test decides, one request after the other.
 *
 * Invariant: what is lost is lost the way a network loses it: the caller hears that the connection failed, and nothing else.
 */
import type { Connection } from '@platformatic/kafka'
import type { Clock, Random } from '#system'

import { LogError, type TopicPartition } from '../../log.ts'
import type { Cluster, CoordinatorKind, PartitionLeader, Purpose } from '../cluster.ts'
import { connectionOf } from './stub-cluster.ts'

/** Kafka's numbers of the requests that tests decide about. */
export const API = {
  produce: 0,
  initProducerId: 22,
  addPartitions: 24,
  addOffsets: 25,
  endTxn: 26,
  offsets: 28,
}

/** `late` is lost for the caller, and delivered when `deliverLate` is called. */
export type Fate = 'request' | 'reply' | 'late' | 'none'

export interface Sent {
  readonly api: number
  readonly version: number
  readonly nodeId: number
  readonly fate: Fate
}

/** What happens to a request; what it does before it answers happens before the request goes out. */
export type Decide = (api: number) => Fate | Promise<Fate>

export class FaultyCluster implements Cluster {
  readonly sent: Sent[] = []
  decide: Decide = () => 'none'
  readonly transactionVersion: number
  readonly #cluster: Cluster
  readonly #late: (() => Promise<unknown>)[] = []

  constructor(cluster: Cluster, transactionVersion: number = cluster.transactionVersion) {
    this.#cluster = cluster
    this.transactionVersion = transactionVersion
  }

  get id(): string {
    return this.#cluster.id
  }
  get clock(): Clock {
    return this.#cluster.clock
  }
  get random(): Random {
    return this.#cluster.random
  }

  /** How often a request was sent, or lost in some way. */
  count(api: number, fate?: Fate): number {
    return this.sent.filter(
      (sent) => sent.api === api && (fate === undefined || sent.fate === fate),
    ).length
  }

  /** Answers of the requests that were held back, in the order in which they were sent. */
  async deliverLate(): Promise<readonly unknown[]> {
    const answers: unknown[] = []
    for (const deliver of this.#late.splice(0)) answers.push(await deliver())
    return answers
  }

  call<T>(
    nodeId: number,
    purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
    lane?: string,
  ): Promise<T> {
    const through = async (connection: Connection): Promise<T> => {
      const send: Connection['send'] = (api, version, payload, parse, request, response, done) => {
        const go = (then: typeof done): void =>
          connection.send(api, version, payload, parse, request, response, then)
        void Promise.resolve(this.decide(api)).then((fate) => {
          this.sent.push({ api, version, nodeId, fate })
          if (fate === 'none') return go(done)
          if (fate === 'reply') return go(() => done(lost()))
          if (fate === 'late') {
            // Built now, as it was; on a connection of its own, as a copy in the network has it.
            const kept = payload()
            this.#late.push(() =>
              this.#cluster.call(
                nodeId,
                'admin',
                timeoutMs,
                (other) =>
                  new Promise((resolve, reject) =>
                    other.send(
                      api,
                      version,
                      () => kept,
                      parse,
                      request,
                      response,
                      (error, answer) => (error ? reject(error) : resolve(answer)),
                    ),
                  ),
              ),
            )
          }
          done(lost())
        })
      }
      return exchange(connectionOf(send))
    }
    return this.#cluster.call(nodeId, purpose, timeoutMs, through, lane)
  }

  openLane(): string {
    return this.#cluster.openLane()
  }
  closeLane(lane: string): void {
    this.#cluster.closeLane(lane)
  }
  leader(partition: TopicPartition): Promise<PartitionLeader> {
    return this.#cluster.leader(partition)
  }
  leaderHint(partition: TopicPartition, leader: { nodeId: number; leaderEpoch: number }): void {
    this.#cluster.leaderHint(partition, leader)
  }
  refresh(topics: readonly string[]): Promise<void> {
    return this.#cluster.refresh(topics)
  }
  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#cluster.partitionCounts(topics)
  }
  topicName(topicId: string): string | undefined {
    return this.#cluster.topicName(topicId)
  }
  coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    return this.#cluster.coordinator(kind, key)
  }
  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#cluster.forgetCoordinator(kind, key)
  }
  retrying<T>(deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    return this.#cluster.retrying(deadlineMs, attempt)
  }
  close(): Promise<void> {
    return this.#cluster.close()
  }
}

function lost(): LogError {
  return new LogError('LOG_UNAVAILABLE', 'lost on the way', { retriable: true })
}
