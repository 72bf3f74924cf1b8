/**
 * A task that a worker runs: the task, its open stores, and how far its effects are in them.
 *
 * Invariant: `appliedInputs` never says more than the stores hold; what waits for it wakes when it has come (R16).
 */
import { partitionKey, type CommittedOffset, type TopicPartition } from '#log'
import type { CommittingTask } from './committer.ts'
import type { OpenStore } from './open-store.ts'
import { closeStores } from './open-stores.ts'
import type { RecoveredTask } from './recovery.ts'
import type { TaskIdentity } from './task-contract.ts'
import type { TaskError } from './task-error.ts'
import type { Task } from './task.ts'

type Positions = Readonly<Record<string, number>>

export class RunningTask implements CommittingTask {
  readonly identity: TaskIdentity
  readonly task: Task
  readonly stores: ReadonlyMap<string, OpenStore>
  /** Where reading began, for inputs that have not been fetched since. */
  readonly startedAt: ReadonlyMap<string, CommittedOffset>
  /** Between giving up an assignment and hearing the next: keeps everything, takes nothing. */
  isSuspended: boolean = false
  #failure: TaskError | undefined
  #appliedInputs: Positions
  readonly #waiting = new Set<{ readonly for: Positions; readonly wake: () => void }>()

  /** Starts the task: the caller has just asked whether it is still the owner (R3 e, f). */
  constructor({ identity, task, stores, positions }: RecoveredTask) {
    this.identity = identity
    this.task = task
    this.stores = stores
    this.startedAt = positions
    this.#appliedInputs = Object.fromEntries(
      [...positions].map(([key, { offset }]) => [key, offset]),
    )
    task.start(positions)
  }

  get taskId(): string {
    return this.identity.taskId
  }
  get inputs(): readonly TopicPartition[] {
    return this.task.inputs
  }
  get state(): string {
    if (this.#failure !== undefined) return 'failed'
    return this.isSuspended ? 'suspended' : this.task.state
  }
  /** What it has stopped for; what it had done before is still committed. */
  get failure(): TaskError | undefined {
    return this.#failure
  }
  /** It takes records, punctuates and ticks. */
  get isActive(): boolean {
    return !this.isSuspended && this.#failure === undefined
  }
  get appliedInputs(): Positions {
    return this.#appliedInputs
  }

  /** An input of it cannot be read on: it takes nothing any more until it is rebuilt. */
  fail(error: TaskError): void {
    this.#failure ??= error
  }

  applied(inputPositions: Positions): void {
    this.#appliedInputs = { ...this.#appliedInputs, ...inputPositions }
    for (const waiting of this.#waiting) if (this.#isAt(waiting.for)) this.#wake(waiting)
  }

  /** Resolves once everything below `positions` is in the stores, at once when the task closes, or when `signal` aborts. */
  reached(positions: Positions, signal: AbortSignal): Promise<void> {
    if (this.#isAt(positions) || this.task.state === 'closed') return Promise.resolve()
    return new Promise((resolve) => {
      const waiting = { for: positions, wake: resolve }
      this.#waiting.add(waiting)
      signal.addEventListener('abort', () => this.#wake(waiting), { once: true })
    })
  }

  isAt(positions: Positions): boolean {
    return this.#isAt(positions)
  }

  startOf(input: TopicPartition): number {
    return this.startedAt.get(partitionKey(input))?.offset ?? 0
  }

  /** Drops what is open in the task; the caller has committed, or never will. No apply may be in flight. */
  async close(): Promise<void> {
    await this.task.close()
    for (const waiting of this.#waiting) this.#wake(waiting)
    await closeStores(this.stores)
  }

  /** Only inputs of this task count: another one's cannot be reached here. */
  #isAt(positions: Positions): boolean {
    return this.inputs.every((input) => {
      const key = partitionKey(input)
      return (this.#appliedInputs[key] ?? 0) >= (positions[key] ?? 0)
    })
  }

  #wake(waiting: { readonly wake: () => void; readonly for: Positions }): void {
    this.#waiting.delete(waiting)
    waiting.wake()
  }
}
