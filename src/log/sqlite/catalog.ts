/**
 * Topics, partitions and leader epochs as one connection knows them, and where each partition ends.
 *
 * Invariant: after `refresh` nothing here is older than the last commit of any connection. Call it first, then read.
 */
import { assert } from '#system'
import type { Database, Statement } from 'bun:sqlite'

import { type TopicSettings, topicSettings } from '../topic-config.ts'
import { LogError, type TopicConfig, type TopicDescription, type TopicPartition } from '../log.ts'

export interface LeaderEpoch {
  readonly epoch: number
  readonly startOffset: number
}

export interface PartitionEntry extends TopicPartition {
  /** The number of its topic in the tables. */
  readonly topicNumber: number
  readonly settings: TopicSettings
  readonly earliestOffset: number
  readonly endFloor: number
  readonly tombstonesRemovedBelow: number
  readonly cleanedBelow: number
  readonly sweptBelow: number
  /** Ascending; never empty. */
  readonly epochs: readonly LeaderEpoch[]
  /** −1 while nobody has asked since the last change by another connection. */
  endOffset: number
}

export interface TopicEntry extends TopicDescription {
  readonly number: number
  readonly entries: readonly PartitionEntry[]
}

export class Catalog {
  readonly #topics: Map<string, TopicEntry> = new Map()
  readonly #dataVersion: Statement
  readonly #catalogVersion: Statement
  readonly #raiseVersion: Statement
  readonly #topicRows: Statement
  readonly #partitionRows: Statement
  readonly #epochRows: Statement
  readonly #lastOffset: Statement
  #seenData: number = -1
  #seenCatalog: number = -1

  constructor(database: Database) {
    this.#dataVersion = database.prepare('PRAGMA data_version')
    this.#catalogVersion = database.prepare("SELECT value FROM meta WHERE name = 'catalog'")
    this.#raiseVersion = database.prepare(
      "UPDATE meta SET value = value + 1 WHERE name = 'catalog'",
    )
    this.#topicRows = database.prepare('SELECT topic, name, topic_id, config FROM topics')
    this.#partitionRows = database.prepare(
      `SELECT topic, partition, earliest_offset, end_floor, tombstones_removed_below, cleaned_below, swept_below
       FROM partitions ORDER BY topic, partition`,
    )
    this.#epochRows = database.prepare(
      'SELECT topic, partition, epoch, start_offset FROM epochs ORDER BY topic, partition, epoch',
    )
    this.#lastOffset = database.prepare(
      `SELECT last_offset FROM batches WHERE topic = ? AND partition = ?
       ORDER BY base_offset DESC LIMIT 1`,
    )
  }

  /** A number that changes whenever another connection has committed. */
  dataVersion(): number {
    return numberOf(this.#dataVersion.values()[0]?.[0])
  }

  /** Reads what other connections have changed since. Returns the data version that it saw. */
  refresh(): number {
    const dataVersion = this.dataVersion()
    if (dataVersion === this.#seenData) return dataVersion
    for (const { entries } of this.#topics.values())
      for (const entry of entries) entry.endOffset = -1
    const catalogVersion = numberOf(this.#catalogVersion.values()[0]?.[0])
    if (catalogVersion !== this.#seenCatalog) this.reload()
    // Last: whatever failed before is read again.
    this.#seenData = dataVersion
    return dataVersion
  }

  /** Forgets everything: the transaction that changed it was rolled back. */
  invalidate(): void {
    this.#seenData = -1
    this.#seenCatalog = -1
  }

  /** To be called inside the transaction that changed topics, partitions or epochs: tells the other connections. */
  changed(): void {
    this.#raiseVersion.run()
    this.reload()
  }

  reload(): void {
    const catalogVersion = numberOf(this.#catalogVersion.values()[0]?.[0])
    const epochs = Map.groupBy(this.#epochRows.values(), placeOf)
    const partitions = Map.groupBy(this.#partitionRows.values(), (row) => numberOf(row[0]))
    this.#topics.clear()
    for (const [number, name, topicId, config] of this.#topicRows.values()) {
      const topic = {
        number: numberOf(number),
        topic: String(name),
        topicId: String(topicId),
        config: JSON.parse(String(config)) as TopicConfig,
      }
      const settings = topicSettings(topic.config)
      const entries = (partitions.get(topic.number) ?? []).map((row): PartitionEntry => ({
        topic: topic.topic,
        topicNumber: topic.number,
        settings,
        partition: numberOf(row[1]),
        earliestOffset: numberOf(row[2]),
        endFloor: numberOf(row[3]),
        tombstonesRemovedBelow: numberOf(row[4]),
        cleanedBelow: numberOf(row[5]),
        sweptBelow: numberOf(row[6]),
        epochs: (epochs.get(placeOf(row)) ?? []).map(([, , epoch, startOffset]) => ({
          epoch: numberOf(epoch),
          startOffset: numberOf(startOffset),
        })),
        endOffset: -1,
      }))
      this.#topics.set(topic.topic, { ...topic, partitions: entries.length, entries })
    }
    this.#seenCatalog = catalogVersion
  }

  topics(): readonly TopicEntry[] {
    return [...this.#topics.values()]
  }

  topic(name: string): TopicEntry | undefined {
    return this.#topics.get(name)
  }

  partition({ topic, partition }: TopicPartition): PartitionEntry {
    const entry = this.#topics.get(topic)?.entries[partition]
    if (entry === undefined) {
      throw new LogError('TOPIC_UNKNOWN', `${topic}-${partition} does not exist: create it first`, {
        at: { topic, partition },
      })
    }
    return entry
  }

  /** One past the last record: high watermark and last stable offset are the same where a commit is one step. */
  endOffset(entry: PartitionEntry): number {
    if (entry.endOffset === -1) {
      const last = this.#lastOffset.values(entry.topicNumber, entry.partition)[0]
      const next = last === undefined ? 0 : numberOf(last[0]) + 1
      entry.endOffset = Math.max(next, entry.endFloor)
    }
    return entry.endOffset
  }
}

/** The epoch that the record at `offset` was written under. */
export function epochAt(entry: PartitionEntry, offset: number): number {
  for (let at = entry.epochs.length - 1; at >= 0; at -= 1) {
    const found = entry.epochs[at]
    if (found !== undefined && found.startOffset <= offset) return found.epoch
  }
  return -1
}

export function currentEpoch(entry: PartitionEntry): number {
  const last = entry.epochs.at(-1)
  assert(last !== undefined, 'a partition begins with an epoch')
  return last.epoch
}

const placeOf = (row: readonly unknown[]): string => `${row[0]}-${row[1]}`

/** A column that the tables declare as a number. */
export function numberOf(value: unknown): number {
  assert(typeof value === 'number', `a number is stored, not ${typeof value}`)
  return value
}
