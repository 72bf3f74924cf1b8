/**
 * One slice of a worker's turn: every task takes records, punctuates and ticks, until nothing is ready or the time is up.
 *
 * Invariant: a slice ends soon after `sliceMs`, whatever is waiting, and the next one begins with the task after the last.
 */
import type { FetchProgress, Log, TopicPartition } from '#log'
import type { Topology } from '#topology'
import type { SliceResult } from './commit-cycle.ts'
import { IdleGate } from './idle-gate.ts'
import { IdleTrust } from './idle-trust.ts'
import type { RunningTask } from './running-task.ts'
import type { Machine, StreamsLimits } from './streams-options.ts'
import type { StepResult } from './task-contract.ts'
import type { WorkerCounters } from './worker-counters.ts'

/** A tick that was due and did not happen is tried again after this long, or when the gate has an answer. */
const TICK_RETRY_MS = 25

export interface SlicerSetup {
  readonly machine: Machine
  readonly limits: StreamsLimits
  readonly counters: WorkerCounters
  readonly progressOf: (partition: TopicPartition) => FetchProgress | undefined
  /** Whether the error was of one input, and only its task has stopped. */
  readonly onInputError: (error: unknown) => boolean
  readonly log: Log
  readonly topology: Topology
  /** Called when what a tick waits for may have come. */
  readonly wake: () => void
}

export class Slicer {
  readonly #setup: SlicerSetup
  readonly #gate: IdleGate
  readonly #trust: IdleTrust
  /** Where the next slice begins: a task with much to do must not starve the ones behind it. */
  #first = 0
  #hasMore = false

  constructor(setup: SlicerSetup) {
    this.#setup = setup
    const { log, machine, topology, wake } = setup
    this.#gate = new IdleGate(log, machine.clock, wake)
    this.#trust = new IdleTrust(log, topology, wake)
  }

  /** Records are ready that the last slice had no time for. */
  get hasMore(): boolean {
    return this.#hasMore
  }

  run(tasks: readonly RunningTask[]): SliceResult & { readonly processed: number } {
    const { clock } = this.#setup.machine
    const active = tasks.filter(({ isActive }) => isActive)
    const endMs = clock.elapsedMs() + this.#setup.limits.sliceMs
    let processed = 0
    let isLayerFull = false
    let isOver = false
    const ready = new Set(active)
    while (ready.size > 0 && !isOver) {
      for (let turn = 0; turn < active.length && !isOver; turn += 1) {
        const task = active[(this.#first + turn) % active.length]
        if (task === undefined || !ready.has(task)) continue
        const step = this.#step(task)
        processed += step.processed
        if (step.stopped !== 'records-max') ready.delete(task)
        if (step.stopped === 'layer-full') isLayerFull = true
        isOver = clock.elapsedMs() >= endMs
        if (isOver) this.#first = (this.#first + turn + 1) % active.length
      }
    }
    this.#hasMore = isOver && ready.size > 0
    this.#setup.counters.recordsProcessed += processed
    for (const task of active) if (task.isActive) this.#punctuate(task)
    return { processed, isLayerFull, isCaughtUp: !this.#hasMore && this.#isCaughtUp(active) }
  }

  /** Milliseconds until a punctuation or a tick has a reason to be looked at. */
  nextDueMs(tasks: Iterable<RunningTask>): number {
    const { clock } = this.#setup.machine
    let dueMs = Number.POSITIVE_INFINITY
    for (const { task, isActive } of tasks) {
      if (!isActive) continue
      dueMs = Math.min(
        dueMs,
        task.nextWallClockMs - clock.nowMs(),
        Math.max(task.nextTickElapsedMs - clock.elapsedMs(), TICK_RETRY_MS),
      )
    }
    return dueMs
  }

  /** Bytes that are damaged inside of a batch are met only here. */
  #step(task: RunningTask): StepResult {
    const { limits, progressOf, onInputError } = this.#setup
    try {
      return task.task.process(limits.stepRecordsMax, progressOf)
    } catch (error) {
      if (!onInputError(error)) throw error
      return { processed: 0, stopped: 'empty' }
    }
  }

  #punctuate({ task, identity }: RunningTask): void {
    const { machine, counters, progressOf } = this.#setup
    const nowMs = machine.clock.nowMs()
    if (nowMs >= task.nextWallClockMs) counters.punctuations += task.punctuate(nowMs)
    const elapsedMs = machine.clock.elapsedMs()
    if (elapsedMs < task.nextTickElapsedMs) return
    const fetchedAtMs = Math.min(
      ...task.inputs.map((input) => progressOf(input)?.fetchedAtMs ?? -1),
    )
    const mayTick = (applicationId: string): boolean =>
      this.#gate.mayTick(applicationId, fetchedAtMs)
    const mayTrust = (): boolean => this.#trust.mayTrust(task, identity.subTopology)
    if (task.tick(elapsedMs, progressOf, mayTick, mayTrust)) counters.ticks += 1
  }

  /** Everything that can be fetched has been, and nothing of it is left. */
  #isCaughtUp(tasks: readonly RunningTask[]): boolean {
    return tasks.every(
      ({ task, isActive }) =>
        !isActive ||
        task.inputs.every((input) => {
          const progress = this.#setup.progressOf(input)
          return progress === undefined || progress.position >= progress.lastStableOffset
        }),
    )
  }
}
