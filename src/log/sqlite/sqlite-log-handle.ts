/**
 * The log as one thread sees it: it reads through its own handle and writes through a channel to the owner.
 *
 * Invariant: nothing here depends on whether the owner is this thread or another.
 */
import type { Random } from '#system'
import type { Statement } from 'bun:sqlite'

import {
  type CommittedOffset,
  type GroupDescription,
  type GroupMember,
  type Isolation,
  type JoinOptions,
  type Log,
  type LogReader,
  type LogShare,
  type LogWriter,
  partitionKey,
  type TopicDescription,
  type TopicPartition,
  type TopicSpec,
} from '../log.ts'
import { startGroupMember } from '../group-member.ts'
import { advance, describeGroup } from '../membership.ts'
import { RecordCursor } from '../record-cursor.ts'
import { checkBatch } from '../record-batch.ts'
import { currentEpoch, numberOf, type PartitionEntry } from './catalog.ts'
import { GroupRows } from './group-rows.ts'
import { SqliteGroupTransport } from './group-transport.ts'
import type { ReadHandle } from './read-handle.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { SqliteWriter } from './sqlite-writer.ts'
import type { WriteChannel } from './write-channel.ts'

/** What only the owner of the file does, or only somebody who is connected to it. */
export interface LogEnd {
  share(): LogShare
  close(): Promise<void>
}

/** Rows looked at before other work gets its turn. */
const LOOK_UP_ROWS = 5_000

export class SqliteLog implements Log {
  readonly id: string
  readonly commitsInOneStep: boolean = true
  readonly #handle: ReadHandle
  readonly #channel: WriteChannel
  readonly #end: LogEnd
  readonly #readers: Set<SqliteReader> = new Set()
  readonly #members: Set<GroupMember> = new Set()
  readonly #groups: GroupRows
  readonly #random: Random
  readonly #committedOffset: Statement
  readonly #batchesByTime: Statement
  #closing: Promise<void> | undefined

  constructor(
    handle: ReadHandle,
    channel: WriteChannel,
    options: LogEnd & { readonly random: Random },
  ) {
    this.#handle = handle
    this.#channel = channel
    this.#random = options.random
    this.#end = options
    this.#groups = new GroupRows(handle.database)
    const { database } = handle
    this.id = String(
      database.prepare("SELECT value FROM meta WHERE name = 'log_id'").values()[0]?.[0],
    )
    this.#committedOffset = database.prepare(
      'SELECT next_offset, metadata FROM offsets WHERE group_id = ? AND topic = ? AND partition = ?',
    )
    this.#batchesByTime = database.prepare(
      `SELECT base_offset, last_offset, max_timestamp FROM batches
       WHERE topic = ? AND partition = ? AND base_offset >= ? ORDER BY base_offset LIMIT ${LOOK_UP_ROWS}`,
    )
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    const missing = await this.#handle.readSoon(() =>
      specs.some(({ topic, partitions }) => {
        return this.#handle.catalog.topic(topic)?.partitions !== partitions
      }),
    )
    // Creating what is there is the usual case of a start, and needs no transaction.
    if (missing) await this.#channel.ask('create-topics', specs)
  }

  async describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#handle.readSoon(() => {
      const { catalog } = this.#handle
      const topics =
        names === undefined ? catalog.topics() : names.map((name) => catalog.topic(name))
      return topics
        .filter((topic) => topic !== undefined)
        .map(({ topic, partitions, config, topicId }) => ({ topic, partitions, config, topicId }))
    })
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    this.#handle.assertOpen()
    await this.#channel.ask('delete-topics', names)
  }

  async deleteRecords({ topic, partition }: TopicPartition, offset: number): Promise<void> {
    this.#handle.assertOpen()
    await this.#channel.ask('delete-records', { topic, partition, offset })
  }

  async earliestOffset(partition: TopicPartition): Promise<number> {
    return this.#readPartition(partition, (entry) => entry.earliestOffset)
  }

  async endOffset(partition: TopicPartition, _isolation: Isolation): Promise<number> {
    return this.#readPartition(partition, (entry) => this.#handle.catalog.endOffset(entry))
  }

  async leaderEpoch(partition: TopicPartition): Promise<number> {
    return this.#readPartition(partition, currentEpoch)
  }

  async endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined> {
    return this.#readPartition(partition, (entry) => {
      const at = entry.epochs.findIndex((known) => known.epoch === epoch)
      if (at === -1) return undefined
      return entry.epochs[at + 1]?.startOffset ?? this.#handle.catalog.endOffset(entry)
    })
  }

  async tombstonesRemovedBelow(partition: TopicPartition): Promise<number | undefined> {
    return this.#readPartition(partition, (entry) => entry.tombstonesRemovedBelow)
  }

  async offsetForTimestamp(
    partition: TopicPartition,
    timestampMs: number,
  ): Promise<number | undefined> {
    let from = 0
    while (true) {
      const found = await this.#readPartition(partition, (entry) => {
        return this.#lookUpTime(entry, Math.max(from, entry.earliestOffset), timestampMs)
      })
      if ('offset' in found) return found.offset
      from = found.nextOffset
      await this.#handle.clock.turn()
    }
  }

  async committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.#handle.readSoon(() => {
      const committed = new Map<string, CommittedOffset>()
      for (const place of partitions) {
        const topic = this.#handle.catalog.topic(place.topic)
        if (topic === undefined) continue
        const row = this.#committedOffset.values(groupId, topic.number, place.partition)[0]
        if (row === undefined) continue
        const [offset, metadata] = row
        committed.set(partitionKey(place), { offset: numberOf(offset), metadata: String(metadata) })
      }
      return committed
    })
  }

  async describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]> {
    const nowMs = this.#handle.clock.nowMs()
    return this.#handle.readSoon(() => {
      const known = this.#groups.groupIds()
      const wanted = groupIds?.filter((groupId) => known.includes(groupId)) ?? known
      // A session that has ended is written down only when somebody next does something to the group.
      const groupOf = (groupId: string) => advance(this.#groups.read(groupId, nowMs), nowMs)
      return wanted.map((groupId) => describeGroup(groupId, groupOf(groupId)))
    })
  }

  reader(_options: { readonly isolation?: Isolation } = {}): LogReader {
    this.#handle.assertOpen()
    // A commit is one step here, so whatever can be read is committed.
    const reader = new SqliteReader(this.#handle, (closed) => this.#readers.delete(closed))
    this.#readers.add(reader)
    return reader
  }

  async writer({
    transactionalId,
  }: { readonly transactionalId?: string } = {}): Promise<LogWriter> {
    this.#handle.assertOpen()
    if (transactionalId === undefined) return new SqliteWriter(this.#channel, undefined)
    const epoch = await this.#channel.ask('init-writer', { transactionalId })
    return new SqliteWriter(this.#channel, { transactionalId, epoch })
  }

  async join(options: JoinOptions): Promise<GroupMember> {
    this.#handle.assertOpen()
    const { clock } = this.#handle
    const transport = new SqliteGroupTransport(options.groupId, {
      handle: this.#handle,
      rows: this.#groups,
      channel: this.#channel,
      random: this.#random,
    })
    const member = startGroupMember(options, { transport, clock, random: this.#random })
    this.#members.add(member)
    return member
  }

  share(): LogShare {
    this.#handle.assertOpen()
    return this.#end.share()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.close({ leave: false })))
    await Promise.all([...this.#readers].map((reader) => reader.close()))
    await this.#end.close()
    this.#handle.close()
  }

  #readPartition<T>(partition: TopicPartition, look: (entry: PartitionEntry) => T): Promise<T> {
    return this.#handle.readSoon(() => look(this.#handle.catalog.partition(partition)))
  }

  /** Looks through some rows; `nextOffset` says where to go on if it was not among them. */
  #lookUpTime(
    entry: PartitionEntry,
    from: number,
    timestampMs: number,
  ): { readonly offset: number | undefined } | { readonly nextOffset: number } {
    const rows = this.#batchesByTime.values(entry.topicNumber, entry.partition, from)
    for (const [baseOffset, , maxTimestampMs] of rows) {
      if (numberOf(maxTimestampMs) < timestampMs) continue
      const offset = this.#lookInBatch(entry, numberOf(baseOffset), timestampMs)
      if (offset !== undefined) return { offset }
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < LOOK_UP_ROWS) return { offset: undefined }
    return { nextOffset: numberOf(last[1]) + 1 }
  }

  #lookInBatch(entry: PartitionEntry, baseOffset: number, timestampMs: number): number | undefined {
    const row = this.#handle.database
      .query('SELECT bytes FROM batches WHERE topic = ? AND partition = ? AND base_offset = ?')
      .values(entry.topicNumber, entry.partition, baseOffset)[0]
    const bytes = row?.[0] as Uint8Array
    checkBatch(bytes, { ...entry, offset: baseOffset })
    const cursor = new RecordCursor()
    cursor.open(bytes, entry)
    while (cursor.next()) {
      if (cursor.timestampMs >= timestampMs && cursor.offset >= entry.earliestOffset) {
        return cursor.offset
      }
    }
    return undefined
  }
}
