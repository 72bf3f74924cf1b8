/**
 * The life of a task, as a table.
 *
 *     created → restoring → running ⇄ suspended
 *        ╰──────────┴─────────┴──────────┴→ closed
 *
 * Suspended between giving up an assignment and hearing the next one; closed without a commit from any state, because a
 * crash, an abort and an expulsion ask nobody (R5).
 *
 * Invariant: a step that is not in the table is our own mistake and is asserted.
 */
import { assert, type Observer } from '#system'
import type { TaskState } from './task-contract.ts'

const NEXT = {
  created: ['restoring', 'closed'],
  restoring: ['running', 'closed'],
  running: ['suspended', 'closed'],
  suspended: ['running', 'closed'],
  closed: [],
} as const satisfies Record<TaskState, readonly TaskState[]>

export class TaskLifecycle {
  readonly #applicationId: string
  readonly #taskId: string
  readonly #observer: Observer
  #state: TaskState = 'created'

  constructor(applicationId: string, taskId: string, observer: Observer) {
    this.#applicationId = applicationId
    this.#taskId = taskId
    this.#observer = observer
  }

  get state(): TaskState {
    return this.#state
  }

  step(to: TaskState): void {
    const legal: readonly TaskState[] = NEXT[this.#state]
    assert(legal.includes(to), `task ${this.#taskId}: ${this.#state} → ${to} is not a step`)
    this.#state = to
    this.#observer({
      kind: 'task-state',
      applicationId: this.#applicationId,
      taskId: this.#taskId,
      state: to,
    })
  }
}
