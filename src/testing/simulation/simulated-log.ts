/**
 * The log as one process of a simulation reaches it: the broker at the other end of the network.
 *
 * Invariant: every answer has travelled, so the process may be paused, gone or somebody else's by the time it comes.
 */
import {
  LogError,
  type CommittedOffset,
  type GroupDescription,
  type GroupMember,
  type Isolation,
  type JoinOptions,
  type Log,
  type LogReader,
  type LogShare,
  type LogWriter,
  type OffsetsOptions,
  type TopicDescription,
  type TopicPartition,
  type TopicSpec,
} from '#log'
import { hostedTransport, startGroupMember } from '#log/parts'
import type { Broker } from './broker.ts'
import type { FaultPlan } from './fault-plan.ts'
import type { Network } from './network.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import { SimulatedReader } from './simulated-reader.ts'
import { SimulatedWriter } from './simulated-writer.ts'

export class SimulatedLog implements Log {
  readonly id: string
  readonly commitsInOneStep: boolean
  readonly #broker: Broker
  readonly #network: Network
  readonly #process: SimulatedProcess
  readonly #faults: FaultPlan

  constructor(broker: Broker, network: Network, process: SimulatedProcess, faults: FaultPlan) {
    this.id = broker.id
    this.commitsInOneStep = broker.isOneStep
    this.#broker = broker
    this.#network = network
    this.#process = process
    this.#faults = faults
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#call('create topics', () => this.#broker.createTopics(specs))
  }

  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#call('describe topics', () => {
      const { topics } = this.#broker
      return (names ?? [...topics.keys()]).flatMap((name) => topics.get(name) ?? [])
    })
  }

  deleteTopics(): Promise<void> {
    throw notHere('deleting topics')
  }

  deleteRecords(): Promise<void> {
    throw notHere('deleting records')
  }

  earliestOffset(partition: TopicPartition): Promise<number> {
    return this.#call('earliest offset', () => {
      this.#broker.partition(partition)
      return 0
    })
  }

  endOffset(partition: TopicPartition, isolation: Isolation): Promise<number> {
    return this.#call('end offset', () => {
      const { lastStableOffset, endOffset } = this.#broker.partition(partition)
      return isolation === 'read-committed' ? lastStableOffset : endOffset
    })
  }

  offsetForTimestamp(): Promise<number | undefined> {
    throw notHere('looking for a timestamp')
  }

  leaderEpoch(partition: TopicPartition): Promise<number> {
    return this.#call('leader epoch', () => {
      this.#broker.partition(partition)
      return 0
    })
  }

  endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined> {
    return this.#call('end of epoch', () => {
      const { endOffset } = this.#broker.partition(partition)
      return epoch === 0 ? endOffset : undefined
    })
  }

  tombstonesRemovedBelow(): Promise<number | undefined> {
    return this.#call('tombstones', () => undefined)
  }

  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    { requireStable = true }: OffsetsOptions = {},
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.#call('committed offsets', () => {
      if (!requireStable) return this.#broker.groups.committedOffsets(groupId, partitions)
      return this.#broker.committedOffsets(groupId, partitions)
    })
  }

  describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]> {
    return this.#call('describe groups', () => this.#broker.groups.describe(groupIds))
  }

  reader({ isolation = 'read-committed' }: { readonly isolation?: Isolation } = {}): LogReader {
    return new SimulatedReader(this.#broker, this.#network, this.#process, isolation)
  }

  async writer({
    transactionalId,
  }: { readonly transactionalId?: string } = {}): Promise<LogWriter> {
    const parts = {
      broker: this.#broker,
      network: this.#network,
      process: this.#process,
      faults: this.#faults,
    }
    if (transactionalId === undefined) return new SimulatedWriter(parts, undefined)
    const epoch = await this.#call('init writer', () => this.#broker.initWriter(transactionalId))
    return new SimulatedWriter(parts, { transactionalId, epoch })
  }

  async join(options: JoinOptions): Promise<GroupMember> {
    const hosted = hostedTransport(this.#broker.groups, options.groupId)
    return startGroupMember(options, {
      transport: {
        join: (request, signal) => this.#call('join', () => hosted.join(request, signal)),
        sync: (request, signal) => this.#call('sync', () => hosted.sync(request, signal)),
        heartbeat: (ref) => this.#call('heartbeat', () => hosted.heartbeat(ref)),
        leave: (ref) => this.#call('leave', () => hosted.leave(ref)),
        partitionCounts: (topics) => this.#call('counts', () => hosted.partitionCounts(topics)),
      },
      clock: this.#process.clock,
      random: this.#process.random,
    })
  }

  share(): LogShare {
    throw notHere('sharing')
  }

  async close(): Promise<void> {}

  #call<T>(label: string, answer: () => T | Promise<T>): Promise<T> {
    return this.#network.call(this.#process, label, answer)
  }
}

function notHere(what: string): LogError {
  return new LogError('LOG_MISUSE', `the simulated log does not do it: ${what}`)
}
