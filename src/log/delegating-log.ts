/**
 * A log that does what another log does: what wraps a log overrides the part that it changes.
 *
 * Invariant: by itself it changes nothing.
 */
import type {
  CommittedOffset,
  GroupDescription,
  GroupMember,
  Isolation,
  JoinOptions,
  Log,
  LogReader,
  LogShare,
  LogWriter,
  OffsetsOptions,
  TopicDescription,
  TopicPartition,
  TopicSpec,
} from './log.ts'

export class DelegatingLog implements Log {
  protected readonly log: Log

  constructor(log: Log) {
    this.log = log
  }

  get id(): string {
    return this.log.id
  }

  get commitsInOneStep(): boolean {
    return this.log.commitsInOneStep ?? false
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.log.createTopics(specs)
  }

  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.log.describeTopics(names)
  }

  deleteTopics(names: readonly string[]): Promise<void> {
    return this.log.deleteTopics(names)
  }

  deleteRecords(partition: TopicPartition, offset: number): Promise<void> {
    return this.log.deleteRecords(partition, offset)
  }

  earliestOffset(partition: TopicPartition): Promise<number> {
    return this.log.earliestOffset(partition)
  }

  endOffset(partition: TopicPartition, isolation: Isolation): Promise<number> {
    return this.log.endOffset(partition, isolation)
  }

  offsetForTimestamp(partition: TopicPartition, timestampMs: number): Promise<number | undefined> {
    return this.log.offsetForTimestamp(partition, timestampMs)
  }

  leaderEpoch(partition: TopicPartition): Promise<number> {
    return this.log.leaderEpoch(partition)
  }

  endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined> {
    return this.log.endOffsetOfEpoch(partition, epoch)
  }

  tombstonesRemovedBelow(partition: TopicPartition): Promise<number | undefined> {
    return this.log.tombstonesRemovedBelow(partition)
  }

  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options?: OffsetsOptions,
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.log.committedOffsets(groupId, partitions, options)
  }

  describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]> {
    return this.log.describeGroups(groupIds)
  }

  reader(options?: { readonly isolation?: Isolation }): LogReader {
    return this.log.reader(options)
  }

  writer(options?: { readonly transactionalId?: string }): Promise<LogWriter> {
    return this.log.writer(options)
  }

  join(options: JoinOptions): Promise<GroupMember> {
    return this.log.join(options)
  }

  share(): LogShare {
    return this.log.share()
  }

  close(): Promise<void> {
    return this.log.close()
  }
}
