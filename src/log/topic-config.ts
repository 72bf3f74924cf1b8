/**
 * Which topics are legal, and what their settings mean: one table for every driver that keeps topics itself.
 *
 * Invariant: a spec that `checkTopicSpec` lets pass has settings that `topicSettings` can read, names that Kafka takes too.
 */
import { LogError, type TopicConfig, type TopicSpec } from './log.ts'
import { BATCH_BYTES_MAX } from './record-batch.ts'

export interface TopicSettings {
  readonly compacts: boolean
  readonly deletes: boolean
  /** Infinity keeps for ever. */
  readonly retentionMs: number
  /** Per partition; Infinity for no limit. */
  readonly retentionBytes: number
  /** How long a tombstone outlives the compaction that first met it. */
  readonly deleteRetentionMs: number
  /** Compaction starts when this share of a partition has never been compacted. */
  readonly dirtyRatioMin: number
  /** Records younger than this are not compacted. */
  readonly compactionLagMs: number
  /** The largest batch. */
  readonly batchBytesMax: number
  readonly timestampType: 'create-time' | 'log-append-time'
}

const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/
const PARTITIONS_MAX = 10_000
const HOUR_MS = 3_600_000

type Check = (value: string) => boolean

const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value)
const integerFrom =
  (min: number): Check =>
  (value) =>
    /^-?\d+$/.test(value) && Number(value) >= min
const isRatio: Check = (value) => /^(0(\.\d+)?|1(\.0+)?)$/.test(value)
const isPolicy: Check = (value) =>
  value.split(',').every((part) => ['compact', 'delete'].includes(part.trim()))

const isBoolean: Check = oneOf('true', 'false')

/** Kafka's settings of topics that embedded logs have no use for: taken, as brokers take them, and without effect. */
const OF_BROKERS: readonly (readonly [string, Check])[] = [
  ['segment.bytes', integerFrom(14)],
  ['segment.ms', integerFrom(1)],
  ['segment.index.bytes', integerFrom(4)],
  ['segment.jitter.ms', integerFrom(0)],
  ['index.interval.bytes', integerFrom(0)],
  ['file.delete.delay.ms', integerFrom(0)],
  ['flush.messages', integerFrom(1)],
  ['flush.ms', integerFrom(0)],
  ['preallocate', isBoolean],
  ['min.insync.replicas', integerFrom(1)],
  ['unclean.leader.election.enable', isBoolean],
  ['compression.type', oneOf('producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd')],
  ['message.timestamp.before.max.ms', integerFrom(0)],
  ['message.timestamp.after.max.ms', integerFrom(0)],
]

/** Settings by Kafka's names. */
const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['cleanup.policy', isPolicy],
  ['retention.ms', integerFrom(-1)],
  ['retention.bytes', integerFrom(-1)],
  ['delete.retention.ms', integerFrom(0)],
  ['min.cleanable.dirty.ratio', isRatio],
  ['min.compaction.lag.ms', integerFrom(0)],
  ['max.compaction.lag.ms', integerFrom(1)],
  ['max.message.bytes', integerFrom(0)],
  ['message.timestamp.type', oneOf('CreateTime', 'LogAppendTime')],
  ...OF_BROKERS,
])

/** Refuses with TOPIC_INVALID, naming what is not legal. */
export function checkTopicSpec({ topic, partitions, config }: TopicSpec): void {
  const refuse = (what: string): never => {
    throw new LogError('TOPIC_INVALID', `topic ${JSON.stringify(topic)}: ${what}`)
  }
  if (!TOPIC_NAME.test(topic) || topic === '.' || topic === '..') {
    refuse('a name has 1 to 249 letters, digits, dots, underscores and hyphens')
  }
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
    refuse(`${partitions} partitions; it takes 1 to ${PARTITIONS_MAX}`)
  }
  for (const [name, value] of Object.entries(config)) {
    const check = CHECKS.get(name)
    if (check === undefined) refuse(`there is no setting ${JSON.stringify(name)}`)
    else if (!check(value)) refuse(`${name} cannot be ${JSON.stringify(value)}`)
  }
}

/** What a topic's settings say, with Kafka's defaults for what they leave out. */
export function topicSettings(config: TopicConfig): TopicSettings {
  const number = (name: string, otherwise: number): number => {
    const value = config[name]
    return value === undefined ? otherwise : Number(value)
  }
  const limit = (name: string, otherwise: number): number => {
    const value = number(name, otherwise)
    return value === -1 ? Number.POSITIVE_INFINITY : value
  }
  const policies = (config['cleanup.policy'] ?? 'delete').split(',').map((part) => part.trim())
  return {
    compacts: policies.includes('compact'),
    deletes: policies.includes('delete'),
    retentionMs: limit('retention.ms', 168 * HOUR_MS),
    retentionBytes: limit('retention.bytes', -1),
    deleteRetentionMs: number('delete.retention.ms', 24 * HOUR_MS),
    dirtyRatioMin: number('min.cleanable.dirty.ratio', 0.5),
    compactionLagMs: number('min.compaction.lag.ms', 0),
    batchBytesMax: number('max.message.bytes', BATCH_BYTES_MAX),
    timestampType:
      config['message.timestamp.type'] === 'LogAppendTime' ? 'log-append-time' : 'create-time',
  }
}
