/**
 * What a write request does inside the open transaction of the writer connection.
 *
 * Invariant: a step checks everything before it writes anything, so one that throws a LogError has changed nothing (but for
 * what time alone does to a group), and its neighbours in the same transaction may stay.
 */
import { asBuffer, type Clock, type Random, readInt64 } from '#system'
import type { Database, Statement } from 'bun:sqlite'
import { Buffer } from 'node:buffer'

import {
  type Append,
  type Appended,
  LogError,
  type OffsetCommit,
  type TopicPartition,
  type TopicSpec,
} from '../log.ts'
import {
  LAST_OFFSET_DELTA_AT,
  MAX_TIMESTAMP_AT,
  stampLogAppendTime,
  stampOffsets,
} from '../record-batch.ts'
import { splitBatches } from '../split-batches.ts'
import { checkTopicSpec } from '../topic-config.ts'
import { type Catalog, currentEpoch, numberOf, type PartitionEntry } from './catalog.ts'
import type { GroupSteps } from './group-steps.ts'
import { MaintenanceSteps } from './maintenance-steps.ts'
import { enterMark, leaveMark } from './open-marks.ts'
import type { WriteKind, WriteOperations, WriteReply, WriteRequest } from './write-channel.ts'

const METADATA_BYTES_MAX = 4096

/** An append whose batches were looked at and are taken. */
interface Checked {
  readonly entry: PartitionEntry
  readonly batches: readonly Uint8Array[]
  readonly count: number
}

type Steps = {
  readonly [K in WriteKind]: (request: WriteOperations[K]['request']) => WriteOperations[K]['reply']
}

export class WriteSteps {
  readonly #catalog: Catalog
  readonly #groups: GroupSteps
  readonly #clock: Clock
  readonly #random: Random
  readonly #steps: Steps
  readonly #insertBatch: Statement
  readonly #insertTopic: Statement
  readonly #insertPartition: Statement
  readonly #insertEpoch: Statement
  readonly #deleteTopic: readonly Statement[]
  readonly #setEarliest: Statement
  readonly #raiseEpoch: Statement
  readonly #producerEpoch: Statement
  readonly #setOffset: Statement

  constructor(
    database: Database,
    options: {
      readonly catalog: Catalog
      readonly groups: GroupSteps
      readonly clock: Clock
      readonly random: Random
    },
  ) {
    this.#catalog = options.catalog
    this.#groups = options.groups
    this.#clock = options.clock
    this.#random = options.random
    this.#insertBatch = database.prepare(
      `INSERT INTO batches (topic, partition, base_offset, last_offset, max_timestamp, bytes)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    this.#insertTopic = database.prepare(
      'INSERT INTO topics (name, topic_id, config) VALUES (?, ?, ?) RETURNING topic',
    )
    this.#insertPartition = database.prepare(
      'INSERT INTO partitions (topic, partition) VALUES (?, ?)',
    )
    this.#insertEpoch = database.prepare('INSERT INTO epochs VALUES (?, ?, 0, 0)')
    // The batches are swept up by maintenance, a few at a time.
    this.#deleteTopic = ['topics', 'partitions', 'epochs', 'cleanings', 'offsets'].map((table) =>
      database.prepare(`DELETE FROM ${table} WHERE topic = ?`),
    )
    this.#setEarliest = database.prepare(
      'UPDATE partitions SET earliest_offset = ?, end_floor = ? WHERE topic = ? AND partition = ?',
    )
    this.#raiseEpoch = database.prepare(
      `INSERT INTO producers VALUES (?, 0)
       ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch`,
    )
    this.#producerEpoch = database.prepare('SELECT epoch FROM producers WHERE transactional_id = ?')
    this.#setOffset = database.prepare('INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?, ?)')
    const maintenance = new MaintenanceSteps(database, options.catalog)
    this.#steps = {
      append: (append) => this.#write(this.#check(append)),
      commit: (request) => this.#commit(request),
      'init-writer': ({ transactionalId }) =>
        numberOf(this.#raiseEpoch.values(transactionalId)[0]?.[0]),
      'create-topics': (specs) => this.#createTopics(specs),
      'delete-topics': (names) => this.#deleteTopics(names),
      'delete-records': (request) => this.#deleteRecords(request),
      'join-group': (request) => this.#groups.join(request),
      'sync-group': (request) => this.#groups.sync(request),
      heartbeat: (request) => this.#groups.heartbeat(request),
      'leave-group': (request) => this.#groups.leave(request),
      'advance-group': (request) => this.#groups.advance(request),
      'enter-mark': (mark) => {
        enterMark(database, options.catalog, mark)
        return null
      },
      'leave-mark': ({ opener }) => {
        leaveMark(database, opener)
        return null
      },
      'remove-batches': (request) => maintenance.removeBatches(request),
      'rewrite-batches': (request) => maintenance.rewriteBatches(request),
      'finish-cleaning': (request) => maintenance.finishCleaning(request),
    }
  }

  run<K extends WriteKind>(kind: K, request: WriteRequest<K>): WriteReply<K> {
    return this.#steps[kind](request)
  }

  #commit(request: WriteRequest<'commit'>): WriteReply<'commit'> {
    const { transactionalId, epoch, sealed } = request
    const current = this.#producerEpoch.values(transactionalId)[0]?.[0]
    if (current !== epoch) {
      throw new LogError('LOG_FENCED', `a newer writer of ${transactionalId} has taken over`)
    }
    if (sealed.groupId !== undefined) {
      this.#groups.checkCommit(sealed.groupId, sealed.member)
    } else if (sealed.offsets.length > 0 || sealed.member !== undefined) {
      throw new LogError('LOG_MISUSE', 'offsets are committed for a group: name it')
    }
    const offsets = sealed.offsets.map((offset) => this.#checkOffset(offset))
    const appends = sealed.appends.map((append) => this.#check(append))
    const appended = appends.map((append) => this.#write(append))
    if (sealed.groupId !== undefined) {
      for (const { entry, offset, metadata } of offsets) {
        this.#setOffset.run(sealed.groupId, entry.topicNumber, entry.partition, offset, metadata)
      }
    }
    return { outcome: 'committed', appended }
  }

  #checkOffset(commit: OffsetCommit): {
    readonly entry: PartitionEntry
    readonly offset: number
    readonly metadata: string
  } {
    const { offset, metadata } = commit
    const entry = this.#catalog.partition(commit)
    const at = { topic: entry.topic, partition: entry.partition, offset }
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new LogError('OFFSET_OUT_OF_RANGE', `offset ${offset} cannot be committed`, { at })
    }
    if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) {
      const message = `commit metadata of ${entry.topic}-${entry.partition} is over 4,096 bytes`
      throw new LogError('RECORD_TOO_LARGE', message, { at })
    }
    return { entry, offset, metadata }
  }

  #check(append: Append): Checked {
    const entry = this.#catalog.partition(append)
    const batches = splitBatches(append, entry.settings.batchBytesMax)
    return { entry, batches, count: append.count }
  }

  #write({ entry, batches, count }: Checked): Appended {
    const baseOffset = this.#catalog.endOffset(entry)
    const { timestampType } = entry.settings
    let next = baseOffset
    for (const batch of batches) {
      if (timestampType === 'log-append-time') stampLogAppendTime(batch, this.#clock.nowMs())
      stampOffsets(batch, { baseOffset: next, leaderEpoch: currentEpoch(entry) })
      const source = asBuffer(batch)
      const last = next + source.readInt32BE(LAST_OFFSET_DELTA_AT)
      const maxTimestampMs = readInt64(source, MAX_TIMESTAMP_AT)
      const { topicNumber, partition } = entry
      this.#insertBatch.run(topicNumber, partition, next, last, maxTimestampMs, batch)
      next = last + 1
    }
    entry.endOffset = next
    return { baseOffset, count }
  }

  #createTopics(specs: readonly TopicSpec[]): null {
    const wanted = new Map<string, TopicSpec>()
    for (const spec of specs) {
      const found = this.#catalog.topic(spec.topic) ?? wanted.get(spec.topic)
      if (found === undefined) {
        checkTopicSpec(spec)
        wanted.set(spec.topic, spec)
      } else if (found.partitions !== spec.partitions) {
        throw new LogError(
          'TOPIC_MISMATCH',
          `topic ${spec.topic} has ${found.partitions} partitions, not ${spec.partitions}`,
        )
      }
    }
    if (wanted.size === 0) return null
    for (const { topic, partitions, config } of wanted.values()) {
      const settings = JSON.stringify(config)
      const row = this.#insertTopic.values(topic, this.#random.uuid(), settings)[0]
      const number = numberOf(row?.[0])
      for (let partition = 0; partition < partitions; partition += 1) {
        this.#insertPartition.run(number, partition)
        this.#insertEpoch.run(number, partition)
      }
    }
    this.#catalog.changed()
    return null
  }

  #deleteTopics(names: readonly string[]): null {
    const numbers = names.map((name) => {
      const topic = this.#catalog.topic(name)
      if (topic === undefined) throw new LogError('TOPIC_UNKNOWN', `there is no topic ${name}`)
      return topic.number
    })
    for (const number of numbers) for (const statement of this.#deleteTopic) statement.run(number)
    this.#catalog.changed()
    return null
  }

  #deleteRecords(request: TopicPartition & { readonly offset: number }): null {
    const entry = this.#catalog.partition(request)
    const endOffset = this.#catalog.endOffset(entry)
    const { offset } = request
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > endOffset) {
      const place = `${entry.topic}-${entry.partition}`
      throw new LogError('OFFSET_OUT_OF_RANGE', `${place} ends at ${endOffset}, not ${offset}`, {
        at: request,
      })
    }
    if (offset <= entry.earliestOffset) return null
    this.#setEarliest.run(offset, endOffset, entry.topicNumber, entry.partition)
    this.#catalog.changed()
    return null
  }
}
