/**
 * How a worker waits for its log, and how long between recoveries that lead nowhere.
 *
 * Invariant: every wait ends at once when the worker is stopped.
 */
import { backOff, retrying, type RetryOptions } from './retry.ts'
import type { Machine } from './streams-options.ts'

export interface WorkerRetriesSetup {
  readonly machine: Machine
  readonly applicationId: string
  readonly backoffMsMax: number
  readonly signal: AbortSignal
}

export class WorkerRetries {
  readonly #options: RetryOptions
  /** Recoveries since something was committed, and how much had been then. */
  #fruitless = 0
  #commitsBefore = 0

  constructor({ machine, applicationId, backoffMsMax, signal }: WorkerRetriesSetup) {
    const onRetry = (cause: unknown): void =>
      machine.observer({ kind: 'recovering', applicationId, cause })
    this.#options = { machine, backoffMsMax, signal, onRetry }
  }

  /** Until `attempt` succeeds; `first` has just failed. Undefined: stopped before. */
  forLog<T>(attempt: () => Promise<T>, first?: unknown): Promise<T | undefined> {
    let failure = first
    return retrying(this.#options, () => {
      const failed = failure
      failure = undefined
      return failed === undefined ? attempt() : Promise.reject(failed)
    })
  }

  /** What has undone all since the last recovery may do so again: the next one waits longer. `commits`: so far. */
  async beforeRecovery(commits: number): Promise<void> {
    this.#fruitless = commits > this.#commitsBefore ? 1 : this.#fruitless + 1
    this.#commitsBefore = commits
    if (this.#fruitless > 1) await backOff(this.#options, this.#fruitless - 2)
  }
}
