/**
 * The one loop that runs a member's tasks, at its own pace: take what the group says, fetch what fits, process what is ready for
 * a slice of time, punctuate, tick, commit when due, let the thread do something else.
 *
 * It waits in one place, the reader's `poll`; whatever happens elsewhere (a membership event, the end of a commit, a recovered
 * task, an answer of the idle gate, a stop) wakes it there.
 *
 * Invariant: a task processes only under the assignment in force; nothing is acknowledged to the group while a commit is in
 * flight (R1); whatever fails goes to recovery or ends the worker, never past both (R5).
 */
import {
  LogError,
  type Assignment,
  type FetchProgress,
  type LogReader,
  type LogWriter,
  type MembershipEvent,
  type TopicPartition,
} from '#log'
import { StateError } from '#state'
import { assert } from '#system'
import { CarefulTasks } from './careful-tasks.ts'
import { CommitCycle } from './commit-cycle.ts'
import { Committer } from './committer.ts'
import { failInput } from './input-failure.ts'
import { InputFlow } from './input-flow.ts'
import { isPermanent, mayHeal } from './retry.ts'
import { Slicer } from './slicer.ts'
import { TaskError } from './task-error.ts'
import { TaskSet } from './task-set.ts'
import { WorkerCounters } from './worker-counters.ts'
import { WorkerPlace } from './worker-place.ts'
import { WorkerRetries } from './worker-retries.ts'
import type { WorkerSetup } from './worker-setup.ts'

/** Longest wait in `poll` with nothing else to do. */
const IDLE_WAIT_MS = 1_000

export class TaskWorker {
  readonly setup: WorkerSetup
  readonly tasks: TaskSet
  readonly counters: WorkerCounters = new WorkerCounters()
  readonly #reader: LogReader
  readonly #commits: CommitCycle
  readonly #slicer: Slicer
  readonly #flow: InputFlow
  readonly #stop = new AbortController()
  readonly #retries: WorkerRetries
  readonly #careful = new CarefulTasks()
  #writer: LogWriter | undefined
  readonly #place: WorkerPlace
  #assignment: Assignment | undefined
  #leave = false
  #state: 'rebalancing' | 'running' = 'rebalancing'

  constructor(setup: WorkerSetup) {
    this.setup = setup
    const { log, machine, topology } = setup
    const wake = (): void => this.#reader.wake()
    const { applicationId } = topology
    this.#retries = new WorkerRetries({
      machine,
      applicationId,
      backoffMsMax: setup.limits.backoffMsMax,
      signal: this.#stop.signal,
    })
    this.#reader = log.reader({ isolation: 'read-committed' })
    const appendsFirst = setup.guarantee === 'at-least-once' && log.commitsInOneStep !== true
    this.tasks = new TaskSet({
      ...setup,
      groupId: applicationId,
      appendsFirst,
      carefulTasks: this.#careful,
      wake,
    })
    this.#place = new WorkerPlace(setup, this.tasks, wake)
    this.#flow = new InputFlow(this.#reader, setup.limits)
    const progressOf = (input: TopicPartition): FetchProgress | undefined =>
      this.#flow.progress(input)
    this.#slicer = new Slicer({
      machine,
      limits: setup.limits,
      counters: this.counters,
      progressOf,
      onInputError: (error) => this.#onInputError(error),
      log,
      topology,
      wake,
    })
    this.#commits = new CommitCycle({
      committer: new Committer(log, applicationId, setup.guarantee, machine),
      machine,
      commitIntervalMs: setup.commitIntervalMs,
      counters: this.counters,
      progressOf,
      wake,
    })
  }

  progress(input: TopicPartition): FetchProgress | undefined {
    return this.#flow.progress(input)
  }

  /** Until `stop`, or until something fails that nobody but a person can mend: then it rejects, and all is closed. */
  async run(): Promise<void> {
    try {
      await this.#newWriter()
      await this.#place.join(this.#retries)
      while (!this.#stop.signal.aborted) await this.#turn()
      this.tasks.returnFromIdle()
      await this.#drain()
    } finally {
      await this.#close()
    }
  }

  /** Ends `run` after a last commit. With `leave` the group is told at once. */
  stop(leave: boolean): void {
    this.#leave = leave
    this.#stop.abort()
    this.#reader.wake()
  }

  async #turn(): Promise<void> {
    const event = this.#place.take()
    if (event !== undefined) {
      await this.#onMembership(event)
      return
    }
    if (this.tasks.failure !== undefined) throw this.tasks.failure.error
    const { failure } = this.#commits
    if (failure !== undefined) {
      await this.#recover(failure.cause)
      return
    }
    if (this.#place.holds(this.#assignment) && this.tasks.startReady()) this.#readOn()
    this.#report()
    await this.#fetch()
    await this.#work()
    this.tasks.purge()
    await this.setup.machine.clock.turn()
  }

  // -------------------------------------------------------------- steps of a turn

  async #fetch(): Promise<void> {
    this.#flow.throttle()
    try {
      const batches = await this.#reader.poll({
        waitMs: this.#waitMs(),
        bytesMax: this.setup.limits.fetchBytesMax,
      })
      this.#flow.add(batches)
    } catch (error) {
      await this.#onFetchError(error)
    }
  }

  async #onFetchError(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return
    if (this.#onInputError(error)) return
    if (!mayHeal(error)) throw error
    await this.#retries.forLog(() => Promise.resolve(), error)
  }

  /** True if it is about one input: its task has stopped, and the others go on. */
  #onInputError(error: unknown): boolean {
    const { machine, topology } = this.setup
    const { running } = this.tasks
    if (!failInput(error, running.values(), machine, topology.applicationId)) return false
    this.#readOn()
    return true
  }

  async #work(): Promise<void> {
    const running = this.tasks.running
    try {
      const slice = this.#slicer.run([...running.values()])
      if (slice.processed > 0) this.setup.machine.failpoint('runtime:processing')
      const { assignment, writer } = this.#committing()
      if (this.#commits.isDue(running.values(), slice) && assignment !== undefined) {
        this.#commits.start(writer, assignment, running.values())
      }
    } catch (error) {
      if (error instanceof StateError || this.#mayFind(error)) {
        await this.#recover(error)
        return
      }
      // What came before the record that stops its task is whole: it is committed, and with it the count of failures (R15).
      if (error instanceof TaskError) await this.#drain()
      throw error
    }
  }

  #waitMs(): number {
    if (this.#slicer.hasMore) return 0
    const { clock } = this.setup.machine
    let waitMs = Math.min(IDLE_WAIT_MS, this.#slicer.nextDueMs(this.tasks.running.values()))
    const isDirty = [...this.tasks.running.values()].some(({ task }) => task.isDirty)
    if (isDirty && !this.#commits.isInFlight) {
      waitMs = Math.min(waitMs, this.#commits.dueAtMs - clock.elapsedMs())
    }
    return Math.max(0, Math.ceil(waitMs))
  }

  #committing(): { readonly assignment: Assignment | undefined; readonly writer: LogWriter } {
    assert(this.#writer !== undefined, 'the writer is initialised before any task runs')
    return { assignment: this.#assignment, writer: this.#writer }
  }

  /** Everything that is dirty is committed, if the group still lets us. */
  async #drain(): Promise<void> {
    if (this.#assignment === undefined || this.#writer === undefined) return
    try {
      await this.#commits.drain(this.#writer, this.#assignment, this.tasks.running)
    } catch (error) {
      // The cycle remembers the failure, and whoever comes next recovers from it.
      if (!(error instanceof StateError) && !this.#mayFind(error)) throw error
    }
  }

  /** Nothing is lost with what could not be sealed: rebuilt, its task finds the record (`CarefulTasks`). */
  #mayFind(error: unknown): boolean {
    return this.#careful.mayFind(error, this.tasks.running)
  }

  // -------------------------------------------------------------- membership

  async #onMembership(event: MembershipEvent): Promise<void> {
    switch (event.kind) {
      case 'revoking':
        await this.#onRevoking(event)
        return
      case 'assigned':
        await this.#onAssigned(event.assignment)
        return
      case 'lost':
        await this.#onLost(event.rejoining, event.error)
    }
  }

  /** Finish the commit in flight, seal and commit the rest, and only then let the member join again. */
  async #onRevoking(event: MembershipEvent & { kind: 'revoking' }): Promise<void> {
    this.#changeState('rebalancing')
    await this.tasks.stopRecoveries()
    this.tasks.returnFromIdle()
    await this.#drain()
    const { failure } = this.#commits
    if (failure === undefined) this.tasks.suspend()
    else await this.#dropTasks('nothing', failure.cause)
    this.#assignment = undefined
    event.acknowledge()
  }

  async #onAssigned(assignment: Assignment): Promise<void> {
    const { machine, topology } = this.setup
    // Only a member that held nothing comes here without having been asked to give up first.
    await this.#commits.settle()
    this.#assignment = assignment
    await this.tasks.adopt(assignment)
    this.#readOn()
    this.#place.onAssigned()
    machine.observer({
      kind: 'rebalance',
      applicationId: topology.applicationId,
      generation: assignment.generation,
      tasks: this.tasks.assigned.active,
    })
    this.setup.remember(this.tasks.positions())
  }

  /** Expelled: what is in flight ends as the log says, and everything is dropped without a commit. */
  async #onLost(rejoining: boolean, error: unknown): Promise<void> {
    this.#assignment = undefined
    this.#changeState('rebalancing')
    this.setup.remember(this.tasks.positions())
    await this.#dropTasks('nothing', error)
    if (rejoining) return
    // Only who was replaced hears that it was: what else will not pass says itself what it is.
    if (!(error instanceof LogError) || error.code !== 'LOG_FENCED') throw error
    const { applicationId } = this.setup.topology
    const message = `another process has taken the place of this member of ${applicationId}`
    throw new TaskError('TASK_FENCED', message, { taskId: 'all', cause: error })
  }

  // -------------------------------------------------------------- recovery

  /**
   * R5: a new writer ends what the old one left, and the tasks are rebuilt. Fenced also gives up ownership and joins again;
   * what the log would refuse for ever ends the worker.
   */
  async #recover(cause: unknown): Promise<void> {
    if (isPermanent(cause)) throw cause
    const isFenced = cause instanceof LogError && cause.code === 'LOG_FENCED'
    this.#changeState('rebalancing')
    if (isFenced) this.#assignment = undefined
    await this.#dropTasks(isFenced ? 'nothing' : 'assignment', cause)
    await this.#retries.beforeRecovery(this.counters.commits)
    if (isFenced) this.#place.rejoin()
    else this.tasks.recoverAll()
  }

  async #dropTasks(keep: 'assignment' | 'nothing', cause: unknown): Promise<void> {
    const { machine, topology } = this.setup
    machine.observer({ kind: 'recovering', applicationId: topology.applicationId, cause })
    this.counters.recoveries += 1
    await this.#commits.settle()
    await this.tasks.drop(keep)
    this.#commits.reset()
    this.#readOn()
    await this.#newWriter()
  }

  async #newWriter(): Promise<void> {
    const { log, transactionalId } = this.setup
    await this.#writer?.close().catch(() => {})
    this.#writer =
      (await this.#retries.forLog(() => log.writer({ transactionalId }))) ?? this.#writer
  }

  #readOn(): void {
    this.#flow.assign([...this.tasks.running.values()])
  }

  #report(): void {
    const isRunning = this.#assignment !== undefined && this.tasks.isSettled
    if (isRunning) this.#place.look()
    this.#changeState(isRunning ? 'running' : 'rebalancing')
  }

  #changeState(state: 'rebalancing' | 'running'): void {
    if (state === this.#state) return
    this.#state = state
    // A process that is killed later is known to have them.
    if (state === 'running') this.setup.remember(this.tasks.positions())
    this.setup.onState(state)
  }

  async #close(): Promise<void> {
    this.setup.machine.failpoint('runtime:shutdown')
    await this.#commits.settle()
    this.setup.remember(this.tasks.positions())
    await this.tasks.close()
    await this.#place.close(this.#leave)
    await this.#reader.close().catch(() => {})
    await this.#writer?.close().catch(() => {})
  }
}
