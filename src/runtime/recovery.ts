/**
 * The only entrance to running: after a start, a move, an abort, an unknown outcome, a failed apply (R3, R5).
 *
 * Its order is what makes it right: the worker's own writer is initialised before (a); then the stable offsets (b), the ends of
 * the changelogs (c), the stores opened, checked and restored to those ends (d). The worker then asks whether it still owns the
 * task in the same generation (e) and starts it (f), in one synchronous step.
 *
 * Invariant: a recovered task knows nothing but offsets, their metadata and stores; nothing of an earlier life is reused.
 */
import { partitionKey, type CommittedOffset, type Log, type TopicPartition } from '#log'
import type { StateStore } from '#state'
import type { CarefulTasks } from './careful-tasks.ts'
import type { StoreBackends } from './backends.ts'
import { offsetsLost } from './input-failure.ts'
import type { OpenStore } from './open-store.ts'
import { closeStores, openStores, type OpenedTask } from './open-stores.ts'
import { Restorer } from './restorer.ts'
import { retrying } from './retry.ts'
import type { RestoreMetrics } from './streams-metrics.ts'
import type { Machine, StreamsLimits } from './streams-options.ts'
import type { TaskIdentity } from './task-contract.ts'
import { TaskError } from './task-error.ts'
import type { BatchLimits, PartitionCounts, TaskOptions } from './task-options.ts'
import { Task } from './task.ts'

export interface RecoverySetup {
  readonly log: Log
  readonly groupId: string
  readonly backends: StoreBackends
  readonly partitionCounts: PartitionCounts
  readonly batchLimits: BatchLimits
  readonly taskOptions: TaskOptions
  readonly limits: StreamsLimits
  readonly machine: Machine
  /** Whether tasks run on this thread: a restore then leaves it to them every few milliseconds. */
  readonly isBusy: () => boolean
  /** At least once, on a log where the first commit may leave appends and no offsets: R22 cannot be told from that. */
  readonly appendsFirst: boolean
  readonly carefulTasks: CarefulTasks
}

export interface RecoveredTask {
  readonly identity: TaskIdentity
  readonly task: Task
  readonly stores: ReadonlyMap<string, OpenStore>
  /** One entry an input: where there was no commit, the earliest offset. */
  readonly positions: ReadonlyMap<string, CommittedOffset>
}

export class Recovery {
  readonly identity: TaskIdentity
  readonly #setup: RecoverySetup
  readonly #inputs: readonly TopicPartition[]
  readonly #mode: 'active' | 'standby'
  readonly #stop = new AbortController()
  #restorer: Restorer | undefined
  #restored = 0
  #stores: ReadonlyMap<string, OpenStore> = new Map()

  constructor(
    setup: RecoverySetup,
    identity: TaskIdentity,
    inputs: readonly TopicPartition[],
    mode: 'active' | 'standby',
  ) {
    this.#setup = setup
    this.identity = identity
    this.#inputs = inputs
    this.#mode = mode
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** Stores that are being restored, or followed: for stale reads. */
  get stores(): ReadonlyMap<string, OpenStore> {
    return this.#stores
  }

  get restoredRecords(): number {
    return this.#restored + (this.#restorer?.records ?? 0)
  }

  get lagRecords(): number {
    return this.#restorer?.lagRecords ?? Number.POSITIVE_INFINITY
  }

  metrics(): readonly RestoreMetrics[] {
    return this.#restorer?.metrics() ?? []
  }

  /** The task, ready to start; undefined once stopped, with nothing left open. A standby runs until then. */
  run(): Promise<RecoveredTask | undefined> {
    const { machine, limits } = this.#setup
    return retrying(
      {
        machine,
        backoffMsMax: limits.backoffMsMax,
        signal: this.#stop.signal,
        onRetry: (cause) =>
          machine.observer({
            kind: 'recovering',
            applicationId: this.identity.applicationId,
            cause,
          }),
      },
      () => this.#attempt(),
    )
  }

  stop(): void {
    this.#stop.abort()
    this.#restorer?.stop()
  }

  async #attempt(): Promise<RecoveredTask | undefined> {
    const { log, groupId } = this.#setup
    const committed = await log.committedOffsets(groupId, this.#inputs)
    const positions = await this.#positions(committed)
    const opened = await openStores(this.#setup, this.identity, committed, this.#mode)
    this.#stores = opened.stores
    try {
      const isWhole = await this.#restore(opened)
      if (!isWhole || this.isStopped) return await this.#giveUp()
      if (committed.size === 0 && this.#hasState(opened)) {
        // Another owner may have committed for the first time since: what it wrote has been restored here.
        if ((await log.committedOffsets(groupId, this.#inputs)).size === 0) throw this.#lost(opened)
        await this.#giveUp()
        return await this.#attempt()
      }
      const task = await this.#build(opened)
      if (this.isStopped) {
        await task.close()
        return await this.#giveUp()
      }
      return { identity: this.identity, task, stores: opened.stores, positions }
    } catch (error) {
      await this.#giveUp()
      throw error
    }
  }

  async #giveUp(): Promise<undefined> {
    const stores = this.#stores
    this.#stores = new Map()
    await closeStores(stores)
    return undefined
  }

  /** R22: an input that was committed and no longer reaches back that far is lost; one that never was begins at its earliest. */
  async #positions(
    committed: ReadonlyMap<string, CommittedOffset>,
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    const positions = new Map<string, CommittedOffset>()
    const { log } = this.#setup
    const earliestOffsets = await Promise.all(this.#inputs.map((each) => log.earliestOffset(each)))
    for (const [index, input] of this.#inputs.entries()) {
      const key = partitionKey(input)
      const found = committed.get(key)
      const earliest = earliestOffsets[index] ?? 0
      if (found !== undefined && found.offset < earliest) {
        const { applicationId, taskId } = this.identity
        throw offsetsLost({ ...input, offset: found.offset }, earliest, taskId, applicationId)
      }
      positions.set(key, found ?? { offset: earliest, metadata: '' })
    }
    return positions
  }

  async #restore({ goals }: OpenedTask): Promise<boolean> {
    if (goals.length === 0) {
      // A standby that has nothing to follow never becomes a task: it waits for its stop like any other.
      if (this.#mode === 'standby') await this.#stopped()
      return true
    }
    const { log, machine, limits, isBusy } = this.#setup
    const { applicationId, taskId, subTopology } = this.identity
    const restorer = new Restorer(
      log,
      machine,
      {
        applicationId,
        taskId,
        rowsMax: limits.restoreBatchRows,
        fetchBytesMax: limits.fetchBytesMax,
        holdsWindows: subTopology.sources.some(({ time }) => time === 'slowest-upstream'),
        isBusy,
      },
      goals,
    )
    this.#restorer = restorer
    if (this.isStopped) restorer.stop()
    try {
      return await restorer.run()
    } finally {
      this.#restored += restorer.records
      this.#restorer = undefined
    }
  }

  #stopped(): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** R22: state without a committed offset. An aborted first commit leaves nothing that a committed reader sees. */
  #hasState(opened: OpenedTask): boolean {
    return !this.#setup.appendsFirst && this.#filled(opened) !== undefined
  }

  #filled({ stores, goals }: OpenedTask): OpenStore | undefined {
    if (goals.length === 0) return undefined
    return [...stores.values()].find(({ store, changelog }) => {
      if (changelog === undefined || changelog.isInput) return false
      return store.header() !== undefined || this.#restored > 0
    })
  }

  #lost(opened: OpenedTask): TaskError {
    const { applicationId, taskId } = this.identity
    const name = this.#filled(opened)?.spec.name
    return new TaskError(
      'OFFSETS_LOST',
      `task ${taskId}: store ${name} has state and no input was ever committed. ` +
        `Reset ${applicationId}, or restore its offsets`,
      { taskId },
    )
  }

  async #build({ stores }: OpenedTask): Promise<Task> {
    const { partitionCounts, batchLimits, taskOptions, machine, carefulTasks } = this.#setup
    const careful = carefulTasks.until(this.identity.taskId)
    const backends = new Map<string, StateStore>()
    for (const [name, { store }] of stores) backends.set(name, store)
    const task = new Task({
      identity: this.identity,
      stores: backends,
      partitionCounts,
      batchLimits,
      options: taskOptions,
      wallClockMs: () => machine.clock.nowMs(),
      observer: machine.observer,
      failpoint: machine.failpoint,
      ...(careful && { careful }),
    })
    await task.loadStores(() => machine.clock.turn())
    return task
  }
}
