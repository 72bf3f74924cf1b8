/**
 * What a worker is made of; the thread that hosts it fills it in.
 *
 * Invariant: nothing here changes while the worker runs.
 */
import type { Log } from '#log'
import type { Topology } from '#topology'
import type { StoreBackends } from './backends.ts'
import type { Guarantee, Machine, StreamsLimits } from './streams-options.ts'
import type { BatchLimits, PartitionCounts, TaskOptions } from './task-options.ts'

export interface WorkerSetup {
  readonly log: Log
  readonly topology: Topology
  readonly partitionCounts: PartitionCounts
  readonly batchLimits: BatchLimits
  readonly backends: StoreBackends
  readonly taskOptions: TaskOptions
  readonly guarantee: Guarantee
  readonly commitIntervalMs: number
  readonly standbys: number
  /** Infinity: repartition topics keep everything. */
  readonly repartitionPurgeIntervalMs: number
  readonly limits: StreamsLimits
  readonly machine: Machine
  /** Number within its process. */
  readonly worker: number
  /** Whose state folder it shares (R23). */
  readonly instanceId: string
  readonly transactionalId: string
  /** The static member's name; undefined where nothing outlives the process. */
  readonly memberInstanceId: string | undefined
  readonly endpoint: string | undefined
  /** Tasks whose state is in this instance's folder from an earlier run, and how far it was. */
  readonly heldBefore: () => Readonly<Record<string, number>>
  /** Told which tasks' state it holds, and how far each is. */
  readonly remember: (positions: Readonly<Record<string, number>>) => void
  readonly onState: (state: 'rebalancing' | 'running') => void
}
