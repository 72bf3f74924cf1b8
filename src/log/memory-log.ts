/**
 * The log in memory: the reference driver. Unit tests, the test driver and the simulator run on it.
 *
 * Invariant: every change is one synchronous step, and nothing depends on anything but the calls, the clock and the random
 * numbers that are handed in.
 */
import { type Clock, type Random, systemClock, systemRandom } from '#system'
import { Buffer } from 'node:buffer'

import { startGroupMember } from './group-member.ts'
import { hostedTransport } from './group-transport.ts'
import {
  type Append,
  type Appended,
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
  type SealedCommit,
  type TopicDescription,
  type TopicPartition,
  type TopicSpec,
} from './log.ts'
import { MemoryGroups } from './memory/memory-groups.ts'
import { maintain } from './memory/memory-maintenance.ts'
import { MemoryPartition } from './memory/memory-partition.ts'
import { MemoryReader } from './memory/memory-reader.ts'
import { MemoryWriter, type TransactionalWriter } from './memory/memory-writer.ts'
import { splitBatches } from './split-batches.ts'
import { checkTopicSpec, topicSettings } from './topic-config.ts'

const METADATA_BYTES_MAX = 4096

export interface MemoryLogOptions {
  readonly clock?: Clock
  readonly random?: Random
}

export function createMemoryLog(options: MemoryLogOptions = {}): MemoryLog {
  return new MemoryLog(options)
}

interface Topic extends TopicDescription {
  readonly kept: readonly MemoryPartition[]
}

export class MemoryLog implements Log {
  readonly id: string
  readonly commitsInOneStep: boolean = true
  readonly #clock: Clock
  readonly #random: Random
  readonly #groups: MemoryGroups
  readonly #topics: Map<string, Topic> = new Map()
  readonly #writerEpochs: Map<string, number> = new Map()
  readonly #members: Set<GroupMember> = new Set()
  #changeListeners: Set<() => void> = new Set()
  #closed: boolean = false

  constructor({ clock = systemClock, random = systemRandom }: MemoryLogOptions = {}) {
    this.#clock = clock
    this.#random = random
    this.id = random.uuid()
    this.#groups = new MemoryGroups({
      clock,
      random,
      partitionCount: (topic) => this.#topics.get(topic)?.partitions,
    })
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#assertOpen()
    const missing = new Map<string, TopicSpec>()
    for (const spec of specs) {
      checkTopicSpec(spec)
      const found = this.#topics.get(spec.topic) ?? missing.get(spec.topic)
      if (!found) missing.set(spec.topic, spec)
      else if (found.partitions !== spec.partitions) {
        throw new LogError(
          'TOPIC_MISMATCH',
          `${spec.topic} has ${found.partitions} partitions, not ${spec.partitions}`,
        )
      }
    }
    for (const { topic, partitions, config } of missing.values()) {
      const settings = topicSettings(config)
      const kept = Array.from({ length: partitions }, (_, partition) => {
        return new MemoryPartition(topic, partition, settings)
      })
      const topicId = this.#random.uuid()
      this.#topics.set(topic, { topic, partitions, config: { ...config }, topicId, kept })
    }
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    this.#assertOpen()
    const descriptions: TopicDescription[] = []
    for (const name of names ?? this.#topics.keys()) {
      const found = this.#topics.get(name)
      if (!found) continue
      const { topic, partitions, config, topicId } = found
      descriptions.push({ topic, partitions, config, topicId })
    }
    return descriptions
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    this.#assertOpen()
    for (const name of names) {
      if (!this.#topics.has(name)) {
        throw new LogError('TOPIC_UNKNOWN', `there is no topic ${name}`)
      }
    }
    for (const name of names) {
      this.#topics.delete(name)
      this.#groups.forgetTopic(name)
    }
    this.#changed()
  }

  async deleteRecords(partition: TopicPartition, offset: number): Promise<void> {
    this.#partition(partition).deleteBelow(offset)
  }

  async earliestOffset(partition: TopicPartition): Promise<number> {
    return this.#partition(partition).earliestOffset
  }

  async endOffset(partition: TopicPartition, _isolation: Isolation): Promise<number> {
    return this.#partition(partition).endOffset
  }

  async offsetForTimestamp(
    partition: TopicPartition,
    timestampMs: number,
  ): Promise<number | undefined> {
    return this.#partition(partition).offsetForTimestamp(timestampMs)
  }

  async leaderEpoch(partition: TopicPartition): Promise<number> {
    return this.#partition(partition).leaderEpoch
  }

  async endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined> {
    return this.#partition(partition).endOffsetOfEpoch(epoch)
  }

  async tombstonesRemovedBelow(partition: TopicPartition): Promise<number> {
    return this.#partition(partition).tombstonesRemovedBelow
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    this.#assertOpen()
    return this.#groups.committedOffsets(groupId, partitions)
  }

  async describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]> {
    this.#assertOpen()
    return this.#groups.describe(groupIds)
  }

  reader(_options: { readonly isolation?: Isolation } = {}): LogReader {
    this.#assertOpen()
    return new MemoryReader({
      clock: this.#clock,
      partition: (place) => this.#partition(place),
      onChange: (listener) => {
        this.#changeListeners.add(listener)
        return () => this.#changeListeners.delete(listener)
      },
    })
  }

  async writer({
    transactionalId,
  }: { readonly transactionalId?: string } = {}): Promise<LogWriter> {
    this.#assertOpen()
    const target = {
      append: (append: Append) => this.#append(append),
      commit: (sealed: SealedCommit, writer: TransactionalWriter) => this.#commit(sealed, writer),
    }
    if (transactionalId === undefined) return new MemoryWriter(target, undefined)
    const epoch = (this.#writerEpochs.get(transactionalId) ?? -1) + 1
    this.#writerEpochs.set(transactionalId, epoch)
    return new MemoryWriter(target, { transactionalId, epoch })
  }

  async join(options: JoinOptions): Promise<GroupMember> {
    this.#assertOpen()
    const member: GroupMember = startGroupMember(options, {
      transport: hostedTransport(this.#groups, options.groupId),
      clock: this.#clock,
      random: this.#random,
      ended: () => this.#members.delete(member),
    })
    this.#members.add(member)
    return member
  }

  /** Memory is not shared between threads: run the workers of a memory log in one. */
  share(): LogShare {
    throw new LogError('LOG_MISUSE', 'a memory log lives in one thread: use `workers: 1`')
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#groups.close()
    this.#changed()
    await Promise.all([...this.#members].map((member) => member.close({ leave: false })))
  }

  /** Runs retention and compaction to their end, which other logs do in the background. */
  async settleMaintenance(): Promise<void> {
    this.#assertOpen()
    const nowMs = this.#clock.nowMs()
    for (const { kept } of this.#topics.values()) {
      for (const partition of kept) maintain(partition, nowMs)
    }
  }

  /** As after a change of leader (R6). */
  startLeaderEpoch(partition: TopicPartition): void {
    this.#partition(partition).startEpoch()
  }

  #append(append: Append): Appended {
    const partition = this.#partition(append)
    const batches = splitBatches(append, partition.settings.batchBytesMax)
    const appended = partition.append(batches, this.#clock.nowMs())
    this.#changed()
    return appended
  }

  #commit(sealed: SealedCommit, writer: TransactionalWriter): readonly Appended[] {
    this.#assertOpen()
    if (this.#writerEpochs.get(writer.transactionalId) !== writer.epoch) {
      const message = `a newer writer of ${writer.transactionalId} has taken over`
      throw new LogError('LOG_FENCED', message)
    }
    const appends = sealed.appends.map((append) => {
      const partition = this.#partition(append)
      return { partition, batches: splitBatches(append, partition.settings.batchBytesMax) }
    })
    for (const offset of sealed.offsets) this.#checkOffset(offset)
    const { groupId } = sealed
    if (groupId !== undefined) this.#groups.assertMayCommit({ ...sealed, groupId })
    else if (sealed.offsets.length > 0 || sealed.member) {
      throw new LogError('LOG_MISUSE', 'offsets are committed for a group: name it')
    }
    // Nothing above has changed a thing, and nothing below can fail.
    const nowMs = this.#clock.nowMs()
    const appended = appends.map(({ partition, batches }) => partition.append(batches, nowMs))
    if (groupId !== undefined) this.#groups.setOffsets(groupId, sealed.offsets)
    this.#changed()
    return appended
  }

  #checkOffset({ topic, partition, offset, metadata }: SealedCommit['offsets'][number]): void {
    const at = { topic, partition, offset }
    this.#partition(at)
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new LogError('OFFSET_OUT_OF_RANGE', `offset ${offset} cannot be committed`, { at })
    }
    if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) {
      const message = `the metadata of ${topic}-${partition} is over ${METADATA_BYTES_MAX} bytes`
      throw new LogError('RECORD_TOO_LARGE', message, { at })
    }
  }

  #partition({ topic, partition }: TopicPartition): MemoryPartition {
    this.#assertOpen()
    const found = this.#topics.get(topic)?.kept[partition]
    if (found) return found
    throw new LogError('TOPIC_UNKNOWN', `there is no ${topic}-${partition}`, {
      at: { topic, partition },
    })
  }

  #changed(): void {
    const listeners = this.#changeListeners
    this.#changeListeners = new Set()
    for (const listener of listeners) listener()
  }

  #assertOpen(): void {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the log is closed')
  }
}
