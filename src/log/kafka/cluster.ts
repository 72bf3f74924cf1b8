/**
 * What the driver's parts know of the brokers: who leads what, who coordinates whom, and a connection for each purpose.
 *
 * Invariant: what is remembered here may be out of date, never made up: every answer came from a broker, and an error that says
 * otherwise makes it forgotten.
 */
import type { Connection } from '@platformatic/kafka'
import type { Clock, Random } from '#system'

import type { TopicPartition } from '../log.ts'

/** A broker serves one connection strictly one request at a time, so purposes never share one. */
export type Purpose =
  | 'fetch'
  | 'produce'
  | 'transaction'
  | 'group'
  | 'join'
  | 'heartbeat'
  | 'admin'

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
   * One exchange on the connection of `purpose` to a broker, which is opened, authenticated and kept as needed; node −1 is any
   * broker. `timeoutMs` is how long all of it may take. Rejects with LOG_UNAVAILABLE, retriable, when the connection fails or
   * the time is up: then whether the broker did it is unknown. Other errors of the exchange pass through as they are.
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
  /** The node id of the group's or transactional id's coordinator, from the cache if it is there. */
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
