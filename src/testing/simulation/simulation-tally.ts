/**
 * Many runs together: how often each fault, and what follows from it, has happened, and which runs have failed.
 *
 * Invariant: a fault that never happened is not a fault that was survived: `missing` names it.
 */
import { FAULTS } from './fault-plan.ts'
import type { SimulationReport } from './simulate.ts'

/** What follows from faults in every application that keeps state, over enough runs. */
export const CONSEQUENCES: readonly string[] = [
  'commit committed',
  'commit aborted',
  'commit unknown',
  'commit apply-failed',
  'committed though unknown',
  'member refused',
  'writer refused',
  'transaction timeout',
  'restored',
  'rebuilt damaged',
  'rebuilt swapped',
  'answered',
  'answered stale',
]

export class SimulationTally {
  readonly fired: Map<string, number> = new Map()
  readonly failed: SimulationReport[] = []
  runs: number = 0
  steps: number = 0

  add(report: SimulationReport): void {
    this.runs += 1
    this.steps += report.steps
    for (const [what, times] of report.fired) this.count(what, times)
    if (report.violations.length > 0) this.failed.push(report)
  }

  count(what: string, times: number): void {
    this.fired.set(what, (this.fired.get(what) ?? 0) + times)
  }

  /** What should have happened at least once, and has not. */
  missing(wanted: readonly string[] = [...FAULTS, ...CONSEQUENCES]): readonly string[] {
    return wanted.filter((what) => (this.fired.get(what) ?? 0) === 0)
  }
}
