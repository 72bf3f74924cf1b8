/**
 * Where the workers of an application run: its one worker on this thread, or several on the threads of the process's pool.
 *
 * Invariant: every worker has an identity of its own, made of the instance's id and the worker's number (R23).
 */
import type { Topology } from '#topology'
import { createBackends } from './backends.ts'
import type { InstanceFolder } from './instance-folder.ts'
import { taskCountOf } from './internal-names.ts'
import {
  DEFAULT_COMMIT_INTERVAL_MS,
  DEFAULT_LIMITS,
  isTopologyModule,
  repartitionPurgeIntervalMs,
  type Machine,
  type StreamsOptions,
  type TopologySource,
} from './streams-options.ts'
import { DEFAULT_TASK_OPTIONS } from './task-options.ts'
import type { LogTopics } from './topics.ts'
import { hostHere, type WorkerHost } from './worker-host.ts'
import type { WorkerSetup } from './worker-setup.ts'
import { takePool } from './worker-pool.ts'

export interface Hosting {
  readonly source: TopologySource
  readonly topology: Topology
  readonly topics: LogTopics
  readonly options: StreamsOptions
  readonly machine: Machine
  readonly folder: InstanceFolder | undefined
  readonly onState: (worker: number, state: 'rebalancing' | 'running') => void
}

export interface Hosted {
  readonly hosts: readonly WorkerHost[]
  /** After every host has ended. */
  release(): Promise<void>
}

export function hostWorkers(hosting: Hosting): Hosted {
  const { source, topology, topics, options, machine, folder, onState } = hosting
  const { log, backend, workers = 1 } = options
  const instanceId = options.instanceId ?? folder?.instanceId ?? machine.random.uuid()
  const remember = (positions: Readonly<Record<string, number>>): void =>
    folder?.remember(positions)
  const isKept = options.instanceId !== undefined || folder !== undefined
  const stores = cachingStoresOf(topology, topics.partitionCounts)
  const common = { ...commonSetup(options, topology, stores), ...topics, instanceId }
  const setupOf = (worker: number): typeof common & Identity => ({
    ...common,
    worker,
    transactionalId: `${topology.applicationId}-${instanceId}-${worker}`,
    memberInstanceId: isKept ? `${instanceId}-${worker}` : undefined,
  })
  if (workers === 1) {
    const host = hostHere({
      ...setupOf(0),
      log,
      topology,
      backends: createBackends({ folder: folder?.path, backend }),
      machine,
      heldBefore: () => folder?.heldBefore() ?? {},
      remember,
      onState: (state) => onState(0, state),
    })
    return { hosts: [host], release: () => Promise.resolve() }
  }
  if (!isTopologyModule(source)) return { hosts: [], release: () => Promise.resolve() }
  const pool = takePool(log, workers, options.failpointSetting)
  const hosts = Array.from({ length: workers }, (_, worker) =>
    pool.host(
      {
        ...setupOf(worker),
        topology: source,
        folder: folder?.path,
        backend,
        heldBefore: folder?.heldBefore() ?? {},
      },
      { machine, remember, onState: (state) => onState(worker, state) },
    ),
  )
  return { hosts, release: () => pool.release() }
}

type Identity = Pick<WorkerSetup, 'worker' | 'transactionalId' | 'memberInstanceId'>

/** How many stores that cache there are, in all tasks. */
function cachingStoresOf(topology: Topology, counts: ReadonlyMap<string, number>): number {
  let stores = 0
  for (const subTopology of topology.subTopologies) {
    const caching = subTopology.stores.filter(
      ({ kind }) => kind === 'key-value' || kind === 'window',
    )
    stores += caching.length * taskCountOf(topology, subTopology, counts)
  }
  return Math.max(stores, 1)
}

function commonSetup(
  options: StreamsOptions,
  topology: Topology,
  stores: number,
): Pick<
  WorkerSetup,
  | 'taskOptions'
  | 'guarantee'
  | 'commitIntervalMs'
  | 'standbys'
  | 'repartitionPurgeIntervalMs'
  | 'limits'
  | 'endpoint'
> {
  const { compression, onDecodeError, onProcessingError, endpoint } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  return {
    taskOptions: {
      ...DEFAULT_TASK_OPTIONS,
      ...(compression !== undefined && { compression }),
      ...(onDecodeError !== undefined && { onDecodeError }),
      ...(onProcessingError !== undefined && { onProcessingError }),
      layerBytesMax: limits.layerBytesMax,
      cacheBytesMax: Math.floor(limits.cacheBytesMax / stores),
    },
    guarantee: options.guarantee ?? 'exactly-once',
    commitIntervalMs: options.commitIntervalMs ?? DEFAULT_COMMIT_INTERVAL_MS,
    standbys: options.standbys ?? 0,
    repartitionPurgeIntervalMs: repartitionPurgeIntervalMs(options, topology),
    limits,
    endpoint,
  }
}
