/**
 * One process of the application in a simulation: the real worker, on the simulated log, disk and clock.
 *
 * Invariant: an error that ends it while nobody asked it to end is kept, for the checks.
 */
import type { TaskOptions } from '#runtime'
import { DEFAULT_LIMITS, machineOf, TaskWorker, type LogTopics } from '#runtime/parts'
import type { Happening } from '#system'
import type { Topology } from '#topology'
import type { SimulatedDisk } from './simulated-disk.ts'
import type { SimulatedLog } from './simulated-log.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { ExpandedOptions } from './simulation-options.ts'

export interface MemberSetup {
  readonly process: SimulatedProcess
  readonly log: SimulatedLog
  readonly disk: SimulatedDisk
  readonly topology: Topology
  readonly topics: LogTopics
  readonly options: ExpandedOptions
  readonly taskOptions: TaskOptions
  readonly isStatic: boolean
  readonly observer: (happening: Happening) => void
}

export class SimulatedMember {
  readonly process: SimulatedProcess
  readonly disk: SimulatedDisk
  readonly worker: TaskWorker
  state: 'rebalancing' | 'running' = 'rebalancing'
  hasEnded: boolean = false
  failure: { readonly error: unknown } | undefined

  constructor(setup: MemberSetup) {
    const { process, log, disk, topology, topics, options, taskOptions, isStatic } = setup
    const { instanceId } = disk
    const backend = disk.backendFor(process)
    this.process = process
    this.disk = disk
    this.worker = new TaskWorker({
      log,
      topology,
      partitionCounts: topics.partitionCounts,
      batchLimits: topics.batchLimits,
      backends: { for: async () => backend },
      taskOptions,
      guarantee: options.guarantee,
      commitIntervalMs: options.commitIntervalMs,
      standbys: options.standbys,
      repartitionPurgeIntervalMs: Number.POSITIVE_INFINITY,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      machine: machineOf({
        clock: process.clock,
        random: process.random,
        observer: setup.observer,
        failpoint: (name) => process.reach(name),
      }),
      worker: 0,
      instanceId,
      transactionalId: `${topology.applicationId}-${instanceId}-0`,
      memberInstanceId: isStatic ? `${instanceId}-0` : undefined,
      endpoint: undefined,
      heldBefore: () => disk.held,
      remember: (positions) => {
        if (!process.isGone) disk.held = positions
      },
      onState: (state) => {
        this.state = state
      },
    })
    void this.#run()
  }

  get isLiving(): boolean {
    return !this.process.isGone && !this.hasEnded
  }

  async #run(): Promise<void> {
    try {
      await this.worker.run()
    } catch (error) {
      if (!this.process.isGone) this.failure = { error }
    }
    this.hasEnded = true
  }

  /** As `kill -9`: what it had asked for may still be done by others. */
  async crash(): Promise<void> {
    this.process.crash()
    await this.disk.letGo()
  }
}
