/**
 * Which tasks look for the record at fault, because what they had put into their stores could not be sealed.
 *
 * A layer is encoded once, when it is sealed: by then nobody knows which record has put a value that its serde refuses, or that
 * is too large for the changelog, and asking at every put would encode everything twice. So a seal that fails is nobody's
 * fault yet: the task is rebuilt (R5) and takes the same records again, carefully, which is to encode after each record what it
 * has put. Whatever refuses there does so inside the record's savepoint, and the record becomes a dead letter (R15). Once the
 * task has sealed what it had failed to seal, it is careless again.
 *
 * Invariant: a task that was careful up to where it fails is not asked a second time: its error is final.
 */
import { TaskError } from './task-error.ts'

/** The next offset to take of each input, by `partitionKey`. */
export type InputPositions = ReadonlyMap<string, number>

/** A task as far as it matters here. */
interface Looking {
  readonly task: { readonly isCareful: boolean; positions(): InputPositions }
}

export class CarefulTasks {
  readonly #until = new Map<string, InputPositions>()

  /** Whether the error is of a seal, and of a task that will find the record once it is rebuilt. */
  mayFind(error: unknown, running: ReadonlyMap<string, Looking>): boolean {
    if (!(error instanceof TaskError) || error.code !== 'STORE_REFUSED') return false
    const task = running.get(error.taskId)?.task
    if (task === undefined || task.isCareful) return false
    const failedAt = task.positions()
    const looked = this.#until.get(error.taskId)
    // What no record has put, as a tick, is not found by looking at records again.
    if (looked !== undefined && isPast(failedAt, looked) && isPast(looked, failedAt)) return false
    this.#until.set(error.taskId, failedAt)
    return true
  }

  /** Until where a task is to be careful; undefined if its seals have never failed here. */
  until(taskId: string): InputPositions | undefined {
    return this.#until.get(taskId)
  }
}

export function isPast(positions: InputPositions, until: InputPositions): boolean {
  for (const [input, offset] of until) if ((positions.get(input) ?? 0) < offset) return false
  return true
}
