/**
 * What a `Streams` handle is made with. Everything has a default but the log and, unless stores are in memory, the folder.
 *
 * Invariant: options are plain values and what the machine gives; nothing here opens, reads or decides anything.
 */
import type { Compression, Log, TopicSpec } from '#log'
import type { BackendKind } from '#state'
import {
  noFailpoint,
  noObserver,
  systemClock,
  systemRandom,
  type Clock,
  type Failpoint,
  type Observer,
  type Random,
} from '#system'
import type { Topology } from '#topology'
import { DEFAULT_LAG_RECORDS_MAX } from './assignment.ts'
import { DEFAULT_TASK_OPTIONS, type ErrorPolicy } from './task-options.ts'

/** Where another thread finds the topology: closures do not cross threads, so it imports the module. */
export interface TopologyModule {
  /** An absolute path or file URL, as `import.meta.url` or `import.meta.resolve` gives it. */
  readonly module: string
  /** The name it is exported by: a `Topology`, something with `build()`, or a function that returns a `Topology`. */
  readonly export: string
}

export type Guarantee = 'exactly-once' | 'at-least-once'

export interface StreamsOptions {
  /** Open already; `Streams` neither opens nor closes it. */
  readonly log: Log
  /** Folder of the stores: each process takes a free folder below it (R23). Needed unless `backend` is 'memory'. */
  readonly stateDir?: string
  /** Keeps every store in this backend, whatever it asks for. */
  readonly backend?: BackendKind
  /** Threads that run tasks; 1 runs them on this thread. More than one needs the topology as a module. */
  readonly workers?: number
  readonly guarantee?: Guarantee
  /** A ceiling: with nothing left to process a commit starts at once. */
  readonly commitIntervalMs?: number
  /** Source and sink topics to create if they are missing. Without it a missing source topic is an error. */
  readonly createTopics?: readonly TopicSpec[]
  /** Copies of each stateful task kept ready on other members. */
  readonly standbys?: number
  /**
   * Deletes what has been committed from repartition topics this often, as Kafka Streams does every 30 s
   * (`repartition.purge.interval.ms`). Not done by default, because a replay below a repartition reads them; done every 30 s
   * with `compatibility: 'kafka-streams'`. Infinity turns it off there.
   */
  readonly repartitionPurgeIntervalMs?: number
  /**
   * What all that the application writes is compressed with, outputs, internal topics and changelogs; nothing unless said.
   * Kafka's `compression.type` of a producer: on Kafka a topic's own setting of that name still decides what brokers keep.
   */
  readonly compression?: Compression
  readonly onDecodeError?: ErrorPolicy
  readonly onProcessingError?: ErrorPolicy
  /** Tells other members where queries for this one go, `http://host:port`. */
  readonly endpoint?: string
  /** Bounds of memory and of one step; the defaults suit a process of a few hundred megabytes. */
  readonly limits?: Partial<StreamsLimits>
  /** Replaces the id that is kept in the instance folder: simulations and tests. */
  readonly instanceId?: string
  readonly clock?: Clock
  readonly random?: Random
  readonly observer?: Observer
  readonly failpoint?: Failpoint
  /** The same for workers on threads of their own, which cannot be handed a function: `layer:name:nth`. */
  readonly failpointSetting?: string
}

export interface StreamsLimits {
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** One fetch, and what one input partition may have waiting. */
  readonly fetchBytesMax: number
  readonly inputBytesMax: number
  /** Records in one call of a task, and how long tasks run before the loop lets the thread do something else. */
  readonly stepRecordsMax: number
  readonly sliceMs: number
  readonly layerBytesMax: number
  /** Decoded values that stores keep, shared equally by all stores of all tasks, as if every task ran in this process. */
  readonly cacheBytesMax: number
  /** Rows that a restore applies at a time, if that is fewer than the backend likes. */
  readonly restoreBatchRows: number
  /**
   * A copy of a task's state that is at most so many records behind the freshest is good enough to run from; whoever has less
   * builds it up before the task moves to it. Kafka Streams' `acceptable.recovery.lag`.
   */
  readonly acceptableLagRecords: number
  /** How long waiting for a topic, a lock or the log backs off at most. */
  readonly backoffMsMax: number
}

export const DEFAULT_LIMITS: StreamsLimits = {
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  fetchBytesMax: 2 * 1024 * 1024,
  inputBytesMax: 2 * 1024 * 1024,
  stepRecordsMax: 500,
  sliceMs: 10,
  layerBytesMax: DEFAULT_TASK_OPTIONS.layerBytesMax,
  cacheBytesMax: 32 * 1024 * 1024,
  restoreBatchRows: 100_000,
  acceptableLagRecords: DEFAULT_LAG_RECORDS_MAX,
  backoffMsMax: 2_000,
}

export const DEFAULT_COMMIT_INTERVAL_MS = 100

/** Kafka Streams' `repartition.purge.interval.ms`. */
const COMPATIBLE_PURGE_INTERVAL_MS = 30_000

export function repartitionPurgeIntervalMs(options: StreamsOptions, topology: Topology): number {
  const byDefault =
    topology.compatibility === undefined ? Number.POSITIVE_INFINITY : COMPATIBLE_PURGE_INTERVAL_MS
  return options.repartitionPurgeIntervalMs ?? byDefault
}

/** What the machine gives, with the defaults filled in. */
export interface Machine {
  readonly clock: Clock
  readonly random: Random
  readonly observer: Observer
  readonly failpoint: Failpoint
}

export function machineOf(options: Partial<Machine>): Machine {
  return {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    observer: options.observer ?? noObserver,
    failpoint: options.failpoint ?? noFailpoint,
  }
}

/** What is run: a topology, or where a thread finds it. */
export type TopologySource = Topology | TopologyModule

export function isTopologyModule(source: TopologySource): source is TopologyModule {
  return 'module' in source
}
