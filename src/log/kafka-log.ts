/**
 * The log on an Apache Kafka cluster.
 *
 * Every thread that uses it has connections of its own: `share()` is nothing but where the cluster is and how it is entered.
 *
 * Invariant: a commit is one Kafka transaction, and what is acknowledged is on every in-sync replica.
 */
import { type Clock, type Failpoint, noFailpoint, type Random } from '#system'

import { startGroupMember } from './group-member.ts'
import { type Cluster, openCluster } from './kafka/cluster.ts'
import { groupTransport } from './kafka/coordinator.ts'
import { createReader } from './kafka/fetcher.ts'
import { describeGroups } from './kafka/group-descriptions.ts'
import { committedOffsets } from './kafka/group-offsets.ts'
import type { KafkaOptions } from './kafka/kafka-options.ts'
import {
  deleteRecords,
  earliestOffset,
  endOffset,
  endOffsetOfEpoch,
  leaderEpoch,
  offsetForTimestamp,
} from './kafka/partition-offsets.ts'
import { createTopics, deleteTopics, describeTopics } from './kafka/topics.ts'
import { createWriter } from './kafka/transactions.ts'
import {
  type CommittedOffset,
  type GroupDescription,
  type GroupMember,
  type Isolation,
  type JoinOptions,
  type Log,
  LogError,
  type LogReader,
  type LogShare,
  type LogWriter,
  type OffsetsOptions,
  type TopicDescription,
  type TopicPartition,
  type TopicSpec,
} from './log.ts'

export type {
  BrokerAddress,
  KafkaOptions,
  KafkaSasl,
  KafkaSettings,
  KafkaTls,
  SaslMechanism,
} from './kafka/kafka-options.ts'
export { kafkaOptions } from './kafka/kafka-url.ts'
export { KAFKA_FAILPOINTS } from './kafka/transactions.ts'

/** What brokers are set to. */
const DEFAULT_REPLICATION = -1

export interface KafkaSurroundings {
  readonly clock: Clock
  readonly random: Random
  /** Passed inside commits; `KAFKA_FAILPOINTS` are its names. */
  readonly failpoint?: Failpoint
}

/** Reaches the cluster. LOG_REFUSED and LOG_UNAVAILABLE say in one line why it cannot be. */
export async function openKafkaLog(
  options: KafkaOptions,
  surroundings: KafkaSurroundings,
): Promise<Log> {
  const { failpoint = noFailpoint } = surroundings
  return new KafkaLog(await openCluster(options, surroundings), options, failpoint)
}

/** Reaches, from another thread of the process, the log that `share` was taken from. */
export async function connectKafkaLog(
  share: LogShare,
  surroundings: KafkaSurroundings,
): Promise<Log> {
  if (share.driver !== 'kafka' || !isOptions(share.value)) {
    throw new LogError('LOG_MISUSE', `a share of a ${share.driver} log is not one of a Kafka log`)
  }
  return openKafkaLog(share.value, surroundings)
}

class KafkaLog implements Log {
  readonly #cluster: Cluster
  readonly #options: KafkaOptions
  readonly #failpoint: Failpoint
  readonly #members: Set<GroupMember> = new Set()
  readonly #readers: Set<LogReader> = new Set()
  #closed: boolean = false

  constructor(cluster: Cluster, options: KafkaOptions, failpoint: Failpoint) {
    this.#cluster = cluster
    this.#options = options
    this.#failpoint = failpoint
  }

  get id(): string {
    return this.#cluster.id
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    const { replicationFactor = DEFAULT_REPLICATION } = this.#options
    await createTopics(this.#open(), specs, replicationFactor)
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return describeTopics(this.#open(), names)
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    await deleteTopics(this.#open(), names)
  }

  async deleteRecords(partition: TopicPartition, offset: number): Promise<void> {
    await deleteRecords(this.#open(), partition, offset)
  }

  async earliestOffset(partition: TopicPartition): Promise<number> {
    return earliestOffset(this.#open(), partition)
  }

  async endOffset(partition: TopicPartition, isolation: Isolation): Promise<number> {
    return endOffset(this.#open(), partition, isolation)
  }

  async offsetForTimestamp(
    partition: TopicPartition,
    timestampMs: number,
  ): Promise<number | undefined> {
    return offsetForTimestamp(this.#open(), partition, timestampMs)
  }

  async leaderEpoch(partition: TopicPartition): Promise<number> {
    return leaderEpoch(this.#open(), partition)
  }

  async endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined> {
    return endOffsetOfEpoch(this.#open(), partition, epoch)
  }

  /** Brokers tell nobody how far their cleaner got. */
  async tombstonesRemovedBelow(): Promise<undefined> {
    this.#open()
    return undefined
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options?: OffsetsOptions,
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    return committedOffsets(this.#open(), groupId, partitions, options)
  }

  async describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]> {
    return describeGroups(this.#open(), groupIds)
  }

  reader({ isolation = 'read-committed' }: { readonly isolation?: Isolation } = {}): LogReader {
    const reader = createReader(this.#open(), {
      isolation,
      onClose: () => this.#readers.delete(reader),
    })
    this.#readers.add(reader)
    return reader
  }

  async writer({
    transactionalId,
  }: { readonly transactionalId?: string } = {}): Promise<LogWriter> {
    const { transactionTimeoutMs } = this.#options
    return createWriter(this.#open(), {
      failpoint: this.#failpoint,
      ...(transactionalId !== undefined && { transactionalId }),
      ...(transactionTimeoutMs !== undefined && { transactionTimeoutMs }),
    })
  }

  async join(options: JoinOptions): Promise<GroupMember> {
    const cluster = this.#open()
    const transport = groupTransport(cluster, options)
    const member: GroupMember = startGroupMember(options, {
      transport,
      clock: cluster.clock,
      random: cluster.random,
      ended: () => {
        transport.close()
        this.#members.delete(member)
      },
    })
    this.#members.add(member)
    return member
  }

  share(): LogShare {
    this.#open()
    return { driver: 'kafka', value: this.#options, transfer: [] }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#readers].map((reader) => reader.close()))
    await Promise.all([...this.#members].map((member) => member.close({ leave: false })))
    await this.#cluster.close()
  }

  #open(): Cluster {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the log is closed')
    return this.#cluster
  }
}

function isOptions(value: unknown): value is KafkaOptions {
  return typeof value === 'object' && value !== null && 'brokers' in value
}
