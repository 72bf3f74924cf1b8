/**
 * What a migration has done, kept on the target in the topic `millrace-migration`, in the very commits that do it.
 *
 * Key: the source's log id. Value, one of:
 *
 *     {"kind":"topic","topic":"orders","partitions":4,"sourceId":"…","targetId":"…"}  made or found empty, ours from here on
 *     {"kind":"chunk","topic":"orders","partition":0,"runs":[[0,500],[503,2]],"previousBase":null}
 *     {"kind":"group","groupId":"campus-inventory"}                                   its offsets were committed with this
 *     {"kind":"finished","topics":["orders"],"bases":[["orders",0,1207]]}             nothing more is written to these
 *
 * A chunk is the records of one partition in one commit: runs of offsets of the source, `[first, count]`. They lie one after
 * the other on the target, from an offset that is known only when the commit is done: the partition's next chunk tells it as
 * `previousBase`, and `finished` tells the last. For a chunk that nothing follows it is found where the partition ends.
 *
 * Invariant: read from the beginning it says which records are on the target, and where each of them is.
 */
import { Buffer } from 'node:buffer'
import {
  NO_HEADERS,
  RecordBatchWriter,
  partitionKey,
  type Append,
  type Log,
  type TopicDescription,
  type TopicPartition,
} from '#log'
import { MigrationError } from './migration-error.ts'
import { OffsetMap } from './offset-map.ts'
import { PartitionRecords } from './partition-records.ts'

export const LEDGER_TOPIC = 'millrace-migration'
const PLACE: TopicPartition = { topic: LEDGER_TOPIC, partition: 0 }
const KEPT = { 'cleanup.policy': 'delete', 'retention.ms': '-1' }

/** Records of the source that lie next to each other: the first one's offset, and how many. */
export type Run = readonly [first: number, count: number]

export type LedgerEntry =
  | {
      readonly kind: 'topic'
      readonly topic: string
      readonly partitions: number
      readonly sourceId: string
      readonly targetId: string
    }
  | {
      readonly kind: 'chunk'
      readonly topic: string
      readonly partition: number
      readonly runs: readonly Run[]
      readonly previousBase: number | null
    }
  | { readonly kind: 'group'; readonly groupId: string }
  | {
      readonly kind: 'finished'
      readonly topics: readonly string[]
      readonly bases: readonly (readonly [topic: string, partition: number, base: number])[]
    }

/** What is on the target of one partition. */
export interface PartitionProgress {
  readonly map: OffsetMap
  /** The last chunk while nobody knows where it begins. */
  pending: readonly Run[] | undefined
  /** Where the last chunk begins. */
  base: number | undefined
  /** The next offset of the source to be copied. */
  next: number
}

export interface TopicProgress {
  readonly sourceId: string
  readonly targetId: string
  readonly partitions: readonly PartitionProgress[]
  isFinished: boolean
}

export class Ledger {
  readonly topics: Map<string, TopicProgress> = new Map()
  readonly groups: Set<string> = new Set()
  readonly #key: Buffer

  private constructor(sourceId: string) {
    this.#key = Buffer.from(sourceId)
  }

  static async create(target: Log): Promise<void> {
    await target.createTopics([{ topic: LEDGER_TOPIC, partitions: 1, config: KEPT }])
  }

  /** Of a target without one it is empty. */
  static async read(target: Log, sourceId: string): Promise<Ledger> {
    const ledger = new Ledger(sourceId)
    for await (const [id, entry] of entriesOn(target)) {
      // Another source's: what it brought is as foreign to this one as anything else.
      if (id === sourceId) ledger.apply(entry)
    }
    return ledger
  }

  partition({ topic, partition }: TopicPartition): PartitionProgress | undefined {
    return this.topics.get(topic)?.partitions[partition]
  }

  map(place: TopicPartition): OffsetMap | undefined {
    return this.partition(place)?.map
  }

  /** Takes in what is on the target now; `bases` of chunks that are not known yet come with `settle`. */
  apply(entry: LedgerEntry): void {
    switch (entry.kind) {
      case 'topic': {
        const partitions = Array.from({ length: entry.partitions }, () => ({
          map: new OffsetMap(),
          pending: undefined,
          base: undefined,
          next: 0,
        }))
        const { sourceId, targetId } = entry
        this.topics.set(entry.topic, { sourceId, targetId, partitions, isFinished: false })
        break
      }
      case 'chunk': {
        const progress = this.#known(entry)
        if (entry.previousBase !== null) settle(progress, entry.previousBase)
        progress.pending = entry.runs
        progress.next = endOf(entry.runs)
        break
      }
      case 'group':
        this.groups.add(entry.groupId)
        break
      case 'finished':
        for (const [topic, partition, base] of entry.bases) {
          settle(this.#known({ topic, partition }), base)
        }
        for (const topic of entry.topics) {
          const progress = this.topics.get(topic)
          if (progress !== undefined) progress.isFinished = true
        }
        break
    }
  }

  /** The append that adds these entries to the ledger. */
  append(entries: readonly LedgerEntry[], nowMs: number): Append {
    const batch = new RecordBatchWriter()
    for (const entry of entries) {
      batch.add(nowMs, this.#key, Buffer.from(JSON.stringify(entry)), NO_HEADERS)
    }
    return { ...PLACE, count: entries.length, bytes: batch.finish() }
  }

  #known(place: TopicPartition): PartitionProgress {
    const found = this.partition(place)
    if (found === undefined) throw unreadable(`${partitionKey(place)} before its topic`)
    return found
  }
}

/**
 * Ids of the logs from which a migration to this one was finished: what is kept beside a log may be known again by that.
 * None of a log that nothing was migrated to.
 */
export async function migratedFrom(log: Log): Promise<readonly string[]> {
  const ids = new Set<string>()
  for await (const [id, { kind }] of entriesOn(log)) if (kind === 'finished') ids.add(id)
  return [...ids]
}

async function* entriesOn(
  target: Log,
): AsyncGenerator<readonly [sourceId: string, entry: LedgerEntry]> {
  if ((await target.describeTopics([LEDGER_TOPIC])).length === 0) return
  const records = await PartitionRecords.open(target, PLACE)
  try {
    const { cursor } = records
    while (await records.next()) {
      const { buffer, offset, keyStart, keyEnd, valueStart, valueEnd } = cursor
      const sourceId = buffer.utf8Slice(keyStart, keyEnd)
      yield [sourceId, entryOf(buffer.utf8Slice(valueStart, valueEnd), offset)]
    }
  } finally {
    await records.close()
  }
}

/** Says where the pending chunk begins on the target. */
export function settle(progress: PartitionProgress, base: number): void {
  let target = base
  for (const [first, count] of progress.pending ?? []) {
    progress.map.add(first, target, count)
    target += count
  }
  progress.pending = undefined
  progress.base = base
}

export function countOf(runs: readonly Run[]): number {
  return runs.reduce((sum, [, count]) => sum + count, 0)
}

export function topicEntry(source: TopicDescription, target: TopicDescription): LedgerEntry {
  const { topic, partitions, topicId: sourceId } = source
  return { kind: 'topic', topic, partitions, sourceId, targetId: target.topicId }
}

function endOf(runs: readonly Run[]): number {
  const [first, count] = runs.at(-1) ?? [0, 0]
  return first + count
}

function entryOf(text: string, offset: number): LedgerEntry {
  const value: unknown = parse(text)
  const kind: unknown = typeof value === 'object' && value !== null && Reflect.get(value, 'kind')
  if (kind === 'topic' || kind === 'chunk' || kind === 'group' || kind === 'finished') {
    return value as LedgerEntry
  }
  throw unreadable(`offset ${offset}`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreadable(what: string): MigrationError {
  const message = `${LEDGER_TOPIC} on the target holds what no migration of this version wrote (${what})`
  return new MigrationError('TARGET_IN_USE', `${message}: migrate to another log`)
}
