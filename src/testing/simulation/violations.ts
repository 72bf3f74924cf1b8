/**
 * What was found wrong in a run, by which check, and when.
 *
 * Invariant: the first one is kept whole; of those that follow only so many as a person reads.
 */
import type { Scheduler } from './scheduler.ts'

export interface Violation {
  readonly check: string
  readonly what: string
  readonly step: number
  readonly atMs: number
}

const KEPT_MAX = 5

export class Violations {
  readonly found: Violation[] = []
  readonly #scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  add(check: string, what: string): void {
    const { steps: step, nowMs: atMs } = this.#scheduler
    if (this.found.length < KEPT_MAX) this.found.push({ check, what, step, atMs })
  }
}
