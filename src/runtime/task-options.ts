/**
 * What a task is made of, and how it behaves when a record fails.
 *
 * Invariant: nothing here changes while the task lives.
 */
import type { Compression } from '#log'
import type { StateStore } from '#state'
import type { Failpoint, Observer } from '#system'
import type { TimestampExtractor } from '#topology'
import type { InputPositions } from './careful-tasks.ts'
import type { TaskIdentity } from './task-contract.ts'

/** What becomes of a record that cannot be decoded, or whose processing throws. */
export type ErrorPolicy = 'dead-letter' | 'skip' | 'stop'

export interface TaskOptions {
  readonly onDecodeError: ErrorPolicy
  readonly onProcessingError: ErrorPolicy
  /** Of everything that the task writes: outputs, internal topics, changelogs. */
  readonly compression: Compression
  /** Processing stops at about this many bytes of uncommitted writes and outputs, until they are sealed. */
  readonly layerBytesMax: number
  /** Decoded values that each store keeps in memory beside what is not committed yet. */
  readonly cacheBytesMax: number
  /** Values kept in a store are frozen, so that mutating one throws (tests). */
  readonly freezeValues: boolean
}

export const DEFAULT_TASK_OPTIONS: TaskOptions = {
  onDecodeError: 'dead-letter',
  onProcessingError: 'dead-letter',
  compression: 'none',
  layerBytesMax: 32 * 1024 * 1024,
  cacheBytesMax: 16 * 1024 * 1024,
  freezeValues: false,
}

/** Partitions of a topic by its name on the log, internal topics included; undefined: there is no such topic. */
export interface PartitionCounts {
  get(topic: string): number | undefined
}

/** The largest batch of a topic (`max.message.bytes`) by its name on the log, where the topic says one. */
export interface BatchLimits {
  get(topic: string): number | undefined
}

export const DEFAULT_BATCH_LIMITS: BatchLimits = new Map<string, number>()

export interface TaskSetup {
  readonly identity: TaskIdentity
  /** Every store of the sub-topology, open, restored, its header checked. */
  readonly stores: ReadonlyMap<string, StateStore>
  readonly partitionCounts: PartitionCounts
  readonly batchLimits?: BatchLimits
  readonly options: TaskOptions
  readonly wallClockMs: () => number
  readonly observer?: Observer
  readonly failpoint?: Failpoint
  /** What is put is encoded record by record: for ever, or until what was before these positions is sealed. */
  readonly careful?: 'always' | InputPositions
  /** For sources that name none. */
  readonly timestampExtractor?: TimestampExtractor
}
