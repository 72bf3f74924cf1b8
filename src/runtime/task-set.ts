/**
 * The tasks of one worker: those that run, those that are being recovered, and the standbys.
 *
 * Invariant: a task is in one of the three at most, and a store is open once at most; a task starts only under the assignment in
 * force, in the same synchronous step in which that is asked (R3 e, f).
 */
import type { Assignment, TopicPartition } from '#log'
import { assert } from '#system'
import { decodeAssignedTasks, NOTHING_ASSIGNED, type AssignedTasks } from './assignment-data.ts'
import { taskShapes, type TaskShape } from './assignment.ts'
import { isOfOneInput, tellFailure } from './input-failure.ts'
import type { OpenStore } from './open-store.ts'
import { Recovery, type RecoveredTask, type RecoverySetup } from './recovery.ts'
import { RepartitionPurge, type RepartitionPurgeSetup } from './repartition-purge.ts'
import { RunningTask } from './running-task.ts'
import type { TaskIdentity } from './task-contract.ts'
import type { TaskError } from './task-error.ts'

/** Restores at a time: more would share the same disk and log. */
const RECOVERIES_MAX = 4

interface Recovering {
  readonly recovery: Recovery
  readonly ended: Promise<void>
}

export interface TaskSetSetup extends Omit<RecoverySetup, 'isBusy'>, RepartitionPurgeSetup {
  /** Something became ready, or failed: the loop should look. */
  readonly wake: () => void
}

export class TaskSet {
  readonly running: Map<string, RunningTask> = new Map()
  readonly standbys: Map<string, Recovering> = new Map()
  /** Tasks of ours that could not be recovered, because of one of their inputs. */
  readonly failed: Map<string, TaskError> = new Map()
  readonly #setup: TaskSetSetup
  readonly #purge: RepartitionPurge
  readonly #shapes: ReadonlyMap<string, TaskShape>
  readonly #recovering = new Map<string, Recovering>()
  readonly #queue: string[] = []
  readonly #ready: RecoveredTask[] = []
  #tasks: AssignedTasks = NOTHING_ASSIGNED
  /** All that was given has run since the start: what now fails alone stops alone. */
  #hasSettled = false
  #failure: { readonly error: unknown } | undefined
  #restoredRecords = 0

  constructor(setup: TaskSetSetup) {
    this.#setup = setup
    this.#purge = new RepartitionPurge(setup)
    const shapes = taskShapes(setup.topology, setup.partitionCounts)
    this.#shapes = new Map(shapes.map((shape) => [shape.taskId, shape]))
  }

  get assigned(): AssignedTasks {
    return this.#tasks
  }
  /** Every task that was given runs. */
  get isSettled(): boolean {
    return this.#tasks.active.every((taskId) => this.running.has(taskId) || this.failed.has(taskId))
  }
  /** What no recovery can mend by itself. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }
  get restoredRecords(): number {
    let live = 0
    for (const { recovery } of this.recoveries()) live += recovery.restoredRecords
    return this.#restoredRecords + live
  }

  /** How far the state of each task here is, for the assignor: the sum of the positions of its stores. */
  positions(): Readonly<Record<string, number>> {
    const positions: Record<string, number> = {}
    for (const { recovery } of this.recoveries()) {
      positions[recovery.identity.taskId] = sumOfPositions(recovery.stores)
    }
    for (const { taskId, stores } of this.running.values()) {
      positions[taskId] = sumOfPositions(stores)
    }
    return positions
  }

  *recoveries(): Generator<Recovering> {
    yield* this.#recovering.values()
    yield* this.standbys.values()
  }

  /** Takes a new assignment: what it no longer holds is dropped, what it still holds goes on, what is new is recovered. */
  async adopt(assignment: Assignment): Promise<void> {
    const tasks = decodeAssignedTasks(assignment.userData)
    this.#tasks = tasks
    const active = new Set(tasks.active)
    const dropped = [...this.running.values()].filter(({ taskId }) => !active.has(taskId))
    for (const { taskId } of dropped) this.running.delete(taskId)
    for (const task of this.running.values()) task.isSuspended = false
    const standby = new Set(tasks.standby)
    const ended = [...this.standbys].filter(([taskId]) => !standby.has(taskId))
    await this.stopRecoveries()
    await Promise.all([
      ...dropped.map((task) => task.close()),
      ...ended.map(([taskId, recovering]) => this.#stop(this.standbys, taskId, recovering)),
    ])
    this.recoverAll()
    for (const taskId of standby) if (!this.standbys.has(taskId)) this.#startStandby(taskId)
  }

  /** Begins to recover every task that was given and does not run. */
  recoverAll(): void {
    this.failed.clear()
    const missing = this.#tasks.active.filter((taskId) => !this.running.has(taskId))
    const order = [...missing].sort(
      (a, b) => Number(this.#isStateful(a)) - Number(this.#isStateful(b)),
    )
    this.#queue.splice(0, this.#queue.length, ...order)
    this.#startNext()
  }

  /** Starts what has been recovered; true if anything was. */
  startReady(): boolean {
    const ready = this.#ready.splice(0)
    for (const recovered of ready) {
      const { taskId } = recovered.identity
      assert(this.#tasks.active.includes(taskId), `${taskId} is recovered for its owner only`)
      assert(!this.running.has(taskId), `${taskId} runs once`)
      this.running.set(taskId, new RunningTask(recovered))
    }
    if (this.isSettled && this.running.size > 0) this.#hasSettled = true
    return ready.length > 0
  }

  /** Ends recoveries of active tasks; what they have restored stays in the stores. */
  async stopRecoveries(): Promise<void> {
    this.#queue.length = 0
    const recovering = [...this.#recovering]
    await Promise.all(recovering.map(([taskId, one]) => this.#stop(this.#recovering, taskId, one)))
    const ready = this.#ready.splice(0)
    await Promise.all(
      ready.map(async ({ task, stores }) => {
        await task.close()
        await Promise.allSettled([...stores.values()].map(({ store }) => store.close()))
      }),
    )
  }

  /** Drops everything but standbys, and forgets what was given unless `keep` says that it is still ours. */
  async drop(keep: 'assignment' | 'nothing'): Promise<void> {
    if (keep === 'nothing') this.#tasks = NOTHING_ASSIGNED
    const running = [...this.running.values()]
    this.running.clear()
    this.failed.clear()
    await Promise.all(running.map((task) => task.close()))
    await this.stopRecoveries()
  }

  async close(): Promise<void> {
    await this.#purge.settle()
    await this.drop('nothing')
    const standbys = [...this.standbys]
    await Promise.all(standbys.map(([taskId, one]) => this.#stop(this.standbys, taskId, one)))
  }

  /** Nobody reads for a while: what is idle must not be taken for quiet (R12). */
  returnFromIdle(): void {
    for (const { task } of this.running.values()) task.returnFromIdle()
  }

  /** Repartition topics lose what the running tasks have committed, if it is time. */
  purge(): void {
    this.#purge.look(this.running.values())
  }

  suspend(): void {
    for (const task of this.running.values()) task.isSuspended = true
  }

  #startNext(): void {
    while (this.#recovering.size < RECOVERIES_MAX) {
      const taskId = this.#queue.shift()
      if (taskId === undefined) return
      const recovery = this.#recovery(taskId, 'active')
      const ended = recovery.run().then(
        (recovered) => {
          this.#end(this.#recovering, taskId, recovery)
          if (recovered !== undefined) this.#ready.push(recovered)
          this.#startNext()
          this.#setup.wake()
        },
        (error: unknown) => {
          this.#end(this.#recovering, taskId, recovery)
          this.#fail(taskId, error)
          this.#setup.wake()
        },
      )
      this.#recovering.set(taskId, { recovery, ended })
    }
  }

  /** R22: a start is refused. Whoever runs goes on without the task, like the others. */
  #fail(taskId: string, error: unknown): void {
    if (!this.#hasSettled || !isOfOneInput(error)) {
      this.#failure ??= { error }
      return
    }
    this.failed.set(taskId, error)
    tellFailure(this.#setup.machine, this.#setup.groupId, error)
    this.#startNext()
  }

  #startStandby(taskId: string): void {
    const recovery = this.#recovery(taskId, 'standby')
    const ended = recovery.run().then(
      () => this.#end(this.standbys, taskId, recovery),
      (error: unknown) => {
        this.#end(this.standbys, taskId, recovery)
        this.#failure ??= { error }
        this.#setup.wake()
      },
    )
    this.standbys.set(taskId, { recovery, ended })
  }

  #recovery(taskId: string, mode: 'active' | 'standby'): Recovery {
    const setup = { ...this.#setup, isBusy: () => this.running.size > 0 }
    return new Recovery(setup, this.#identityOf(taskId), this.inputsOf(taskId), mode)
  }

  #end(from: Map<string, Recovering>, taskId: string, recovery: Recovery): void {
    this.#restoredRecords += recovery.restoredRecords
    if (from.get(taskId)?.recovery === recovery) from.delete(taskId)
  }

  async #stop(from: Map<string, Recovering>, taskId: string, one: Recovering): Promise<void> {
    one.recovery.stop()
    await one.ended
    if (from.get(taskId) === one) from.delete(taskId)
  }

  inputsOf(taskId: string): readonly TopicPartition[] {
    return this.#shapes.get(taskId)?.inputs ?? []
  }

  #isStateful(taskId: string): boolean {
    return this.#shapes.get(taskId)?.stateful ?? false
  }

  #identityOf(taskId: string): TaskIdentity {
    const { topology } = this.#setup
    const shape = this.#shapes.get(taskId)
    const subTopology = topology.subTopologies.find(({ number }) => number === shape?.subTopology)
    assert(subTopology !== undefined, `task ${taskId} is of this topology`)
    const { applicationId } = topology
    const partition = Number(taskId.split('_')[1])
    return { applicationId, topology, subTopology, partition, taskId }
  }
}

function sumOfPositions(stores: ReadonlyMap<string, OpenStore>): number {
  return [...stores.values()].reduce((sum, { position }) => sum + Math.max(position, 0), 0)
}
