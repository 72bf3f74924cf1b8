/**
 * What the driver's parts know of the brokers: who leads what, who coordinates whom, and a connection for each purpose.
 *
 * Invariant: what is remembered here may be out of date, never made up: every answer came from a broker, and an error that says
 * otherwise makes it forgotten.
 */
import type * as kafka from '@platformatic/kafka'
import type { Connection } from '@platformatic/kafka'
import { type Clock, delay, jitteredBackoffMs, type Random } from '#system'

import { LogError, type TopicPartition } from '../log.ts'
import { hinted } from './connection-failure.ts'
import { Connections } from './connections.ts'
import { answerOf, asLogError, kafkaError, NO_ERROR } from './errors.ts'
import { isUnknownTopic, type KnownTopic, Metadata } from './metadata.ts'
import { RefreshPace } from './refresh-pace.ts'
import type { BrokerAddress, KafkaOptions } from './kafka-options.ts'
import { client } from './client.ts'

const { apiVersionsV3, findCoordinatorV4, metadataV12 } = client

/** A broker serves one connection strictly one request at a time, so purposes never share one. */
export type Purpose = 'fetch' | 'produce' | 'transaction' | 'group' | 'join' | 'heartbeat' | 'admin'

export interface PartitionLeader {
  readonly nodeId: number
  readonly leaderEpoch: number
  readonly topicId: string
}

export interface ClusterSurroundings {
  readonly clock: Clock
  readonly random: Random
}

export type CoordinatorKind = 'group' | 'transaction'

export interface Cluster {
  /** The cluster's own id. */
  readonly id: string
  /** The finalized feature `transaction.version`; from 2 on, transactions are of version 2 (TV2). */
  readonly transactionVersion: number
  readonly clock: Clock
  readonly random: Random
  /**
   * One exchange on the connection of `purpose` to a broker, which is opened, authenticated and kept as needed; ANY_BROKER is
   * whichever can be reached. `timeoutMs` is how long all of it may take. Rejects with LOG_UNAVAILABLE, retriable, when the
   * connection fails or the time is up: then whether the broker did it is unknown. Other errors of the exchange pass through
   * as they are.
   *
   * Exchanges that may wait for one another's end (two members that join one group, two readers that long-poll) take lanes of
   * their own: a purpose has one connection a lane.
   */
  call<T>(
    nodeId: number,
    purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
    lane?: string,
  ): Promise<T>
  /** A new lane for `call`: connections of one reader, writer or member alone. */
  openLane(): string
  /** Closes the connections of a lane; what is under way on them fails. */
  closeLane(lane: string): void
  /** From the cache, refreshed when missing. TOPIC_UNKNOWN if the topic or partition does not exist. */
  leader(partition: TopicPartition): Promise<PartitionLeader>
  /** What a response said of itself (`current_leader` hints). */
  leaderHint(
    partition: TopicPartition,
    leader: { readonly nodeId: number; readonly leaderEpoch: number },
  ): void
  /** Forgets and fetches anew what is known of these topics. Concurrent calls share one request, repeated ones wait longer. */
  refresh(topics: readonly string[]): Promise<void>
  /** A topic that does not exist is absent. */
  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>>
  topicName(topicId: string): string | undefined
  /**
   * The node id of the group's or transactional id's coordinator, from the cache if it is there. One attempt: on a new cluster
   * it fails for a while, retriable.
   */
  coordinator(kind: CoordinatorKind, key: string): Promise<number>
  forgetCoordinator(kind: CoordinatorKind, key: string): void
  /**
   * Runs `attempt` until it succeeds, again while it fails with a retriable LogError, with a growing, jittered back-off.
   * `deadlineMs` is a point on `clock.elapsedMs()`: from there on the last error is what the caller gets.
   */
  retrying<T>(deadlineMs: number, attempt: () => Promise<T>): Promise<T>
  /** Every connection; what is under way fails. */
  close(): Promise<void>
}

/** Instead of a node id in `call`. */
export const ANY_BROKER: number = -1
/** Of one request that should be answered at once: a frozen broker is noticed by nothing else. */
const REQUEST_TIMEOUT_MS = 5_000
/** How long a cluster may take to be reached at all. */
const OPEN_TIMEOUT_MS = 10_000
const RETRY = { baseMs: 10, maxMs: 500 }
const COORDINATOR_KEY_TYPES: Readonly<Record<CoordinatorKind, number>> = {
  group: 0,
  transaction: 1,
}

/** Reaches the cluster that some of its brokers are known of. LOG_REFUSED or LOG_UNAVAILABLE say in one line why it cannot. */
export async function openCluster(
  options: KafkaOptions,
  surroundings: ClusterSurroundings,
): Promise<Cluster> {
  const cluster = new BrokerCluster(options, surroundings)
  try {
    await cluster.open()
    return cluster
  } catch (error) {
    await cluster.close()
    throw hinted(error, options)
  }
}

class BrokerCluster implements Cluster {
  readonly clock: Clock
  readonly random: Random
  readonly #bootstrap: readonly BrokerAddress[]
  readonly #connections: Connections
  readonly #metadata: Metadata = new Metadata()
  readonly #pace: RefreshPace
  readonly #coordinators: Map<string, Promise<number>> = new Map()
  readonly #closing: AbortController = new AbortController()
  #id: string = ''
  #transactionVersion: number = 0
  #lanes: number = 0
  /** Topics of the refresh that has not been sent yet: whoever asks meanwhile shares it. */
  #nextRefresh: { readonly topics: Set<string>; readonly done: Promise<void> } | undefined
  #lastRefresh: Promise<void> = Promise.resolve()

  constructor(options: KafkaOptions, { clock, random }: ClusterSurroundings) {
    this.clock = clock
    this.random = random
    this.#bootstrap = options.brokers
    this.#connections = new Connections({ kafka: options, clock, random })
    this.#pace = new RefreshPace(clock, random)
  }

  get id(): string {
    return this.#id
  }

  get transactionVersion(): number {
    return this.#transactionVersion
  }

  async open(): Promise<void> {
    await this.retrying(this.clock.elapsedMs() + OPEN_TIMEOUT_MS, async () => {
      const { finalizedFeatures = [] } = await this.#ask((connection) =>
        apiVersionsV3.api.async(connection, 'millrace', '0'),
      )
      const version = finalizedFeatures.find(({ name }) => name === 'transaction.version')
      this.#transactionVersion = version?.maxVersionLevel ?? 0
      const { clusterId } = await this.#learn([])
      if (clusterId === null || clusterId === undefined) {
        throw new LogError('LOG_REFUSED', 'the cluster has no id')
      }
      this.#id = clusterId
    })
  }

  async call<T>(
    nodeId: number,
    purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
    lane: string = '',
  ): Promise<T> {
    if (nodeId === ANY_BROKER) return this.#callAny(purpose, timeoutMs, exchange, lane)
    const deadlineMs = this.clock.elapsedMs() + timeoutMs
    if (!this.#metadata.brokers.has(nodeId)) await this.#learn([])
    const address = this.#metadata.brokers.get(nodeId)
    if (address === undefined) {
      const message = `broker ${nodeId} is not part of the cluster now`
      throw new LogError('LOG_UNAVAILABLE', message, { retriable: true })
    }
    const remainingMs = deadlineMs - this.clock.elapsedMs()
    return this.#connections.call({ address, purpose, lane }, remainingMs, exchange)
  }

  openLane(): string {
    this.#lanes += 1
    return `lane-${this.#lanes}`
  }

  closeLane(lane: string): void {
    this.#connections.closeLane(lane)
  }

  async leader({ topic, partition }: TopicPartition): Promise<PartitionLeader> {
    const known = leaderOf(this.#metadata.topic(topic), partition)
    if (known !== undefined) return known
    await this.refresh([topic])
    const found = leaderOf(this.#metadata.topic(topic), partition)
    if (found !== undefined) return found
    const at = { topic, partition }
    const refusal = this.#metadata.refusal(topic)
    if (refusal !== undefined && !isUnknownTopic(refusal)) {
      throw kafkaError(refusal, `looking up ${topic}`, { at })
    }
    if (this.#metadata.topic(topic)?.partitions[partition] === undefined) {
      throw new LogError('TOPIC_UNKNOWN', `there is no ${topic}-${partition}`, { at })
    }
    const message = `${topic}-${partition} has no leader now`
    throw new LogError('LOG_UNAVAILABLE', message, { at, retriable: true })
  }

  leaderHint(
    { topic, partition }: TopicPartition,
    leader: { readonly nodeId: number; readonly leaderEpoch: number },
  ): void {
    this.#metadata.learnLeader(topic, partition, leader)
  }

  refresh(topics: readonly string[]): Promise<void> {
    if (this.#nextRefresh === undefined) {
      const wanted = new Set<string>()
      const done = this.#lastRefresh.then(async () => {
        await delay(this.clock, this.#pace.waitMs(wanted), this.#closing.signal)
        this.#nextRefresh = undefined
        this.#pace.refreshing(wanted)
        await this.#learn([...wanted])
      })
      this.#nextRefresh = { topics: wanted, done }
      this.#lastRefresh = done.catch(() => {})
    }
    for (const topic of topics) this.#nextRefresh.topics.add(topic)
    return this.#nextRefresh.done
  }

  async partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (topics.length > 0) await this.#learn(topics)
    const counts = new Map<string, number>()
    for (const topic of topics) {
      const known = this.#metadata.topic(topic)
      if (known !== undefined) counts.set(topic, known.partitions.length)
      const refusal = this.#metadata.refusal(topic)
      // Whoever may not see it must not take it for missing.
      if (refusal !== undefined && !isUnknownTopic(refusal)) {
        throw kafkaError(refusal, `looking up ${topic}`)
      }
    }
    return counts
  }

  topicName(topicId: string): string | undefined {
    return this.#metadata.topicName(topicId)
  }

  coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const cached = `${kind} ${key}`
    const known = this.#coordinators.get(cached)
    if (known !== undefined) return known
    const found = this.#findCoordinator(kind, key)
    this.#coordinators.set(cached, found)
    found.catch(() => {
      if (this.#coordinators.get(cached) === found) this.#coordinators.delete(cached)
    })
    return found
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  async retrying<T>(deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt()
      } catch (thrown) {
        const error = asLogError(thrown, 'a request')
        if (!(error instanceof LogError) || !error.retriable) throw error
        const waitMs = jitteredBackoffMs(this.random, failures, RETRY)
        if (this.clock.elapsedMs() + waitMs >= deadlineMs) throw error
        await delay(this.clock, waitMs, this.#closing.signal)
        if (this.#closing.signal.aborted) throw new LogError('LOG_CLOSED', 'the log is closed')
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#connections.close()
  }

  async #findCoordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const where = `looking for the coordinator of ${kind} ${key}`
    const { coordinators } = await this.#ask((connection) =>
      answerOf(findCoordinatorV4.api.async(connection, COORDINATOR_KEY_TYPES[kind], [key])),
    )
    const [found] = coordinators
    if (found === undefined) {
      throw new LogError('LOG_UNAVAILABLE', `${where}: no answer`, { retriable: true })
    }
    if (found.errorCode !== NO_ERROR) {
      throw kafkaError(found.errorCode, where, { detail: found.errorMessage ?? null })
    }
    return found.nodeId
  }

  async #learn(topics: readonly string[]): Promise<kafka.metadataV12.MetadataResponse> {
    const answer = await this.#ask((connection) =>
      answerOf(metadataV12.api.async(connection, [...topics], false, false)),
    )
    this.#metadata.learn(answer)
    return answer
  }

  #ask<T>(exchange: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#callAny('admin', REQUEST_TIMEOUT_MS, exchange, '')
  }

  /** On an open connection if there is one; else the brokers are tried one after the other until one can be reached. */
  async #callAny<T>(
    purpose: Purpose,
    timeoutMs: number,
    exchange: (connection: Connection) => Promise<T>,
    lane: string,
  ): Promise<T> {
    const deadlineMs = this.clock.elapsedMs() + timeoutMs
    const places = this.#addresses().map((address) => ({ address, purpose, lane }))
    const nearest = places.map((place) => ({ place, far: this.#connections.distance(place) }))
    nearest.sort((a, b) => a.far - b.far)
    let unreachable: unknown = new LogError('LOG_UNAVAILABLE', 'no broker answered in time', {
      retriable: true,
    })
    for (const { place } of nearest) {
      const remainingMs = deadlineMs - this.clock.elapsedMs()
      if (remainingMs <= 0) break
      try {
        await this.#connections.connect(place, remainingMs)
      } catch (error) {
        unreachable = error
        if (error instanceof LogError && error.retriable) continue
        throw error
      }
      return this.#connections.call(place, deadlineMs - this.clock.elapsedMs(), exchange)
    }
    throw unreachable
  }

  /** Every broker that is known of: those of the last answer, in another order each time, before those that were given. */
  #addresses(): readonly BrokerAddress[] {
    const known = [...this.#metadata.brokers.values()]
    const start = Math.floor(this.random.next() * known.length)
    const unknown = this.#bootstrap.filter(
      ({ host, port }) => !known.some((each) => each.host === host && each.port === port),
    )
    return [...known.slice(start), ...known.slice(0, start), ...unknown]
  }
}

function leaderOf(topic: KnownTopic | undefined, partition: number): PartitionLeader | undefined {
  const led = topic?.partitions[partition]
  if (topic === undefined || led === undefined || led.nodeId < 0) return undefined
  return { ...led, topicId: topic.topicId }
}
