/**
 * Makes a failing run smaller: fewer faults, members, partitions, inputs and steps, as long as the same check still fails.
 *
 * Invariant: what is answered fails; every run on the way is of the same seed.
 */
import type { Topology } from '#topology'
import { FAULTS, type FaultName } from './fault-plan.ts'
import { simulate, type SimulationReport } from './simulate.ts'
import type { SimulationOptions } from './simulation-options.ts'

/** Runs at most: each is some milliseconds. */
const RUNS_MAX = 120

export interface Shrunk {
  readonly options: SimulationOptions
  readonly report: SimulationReport
}

/** The smallest that was found; undefined if the run does not fail at all. */
export async function shrinkSimulation(
  topology: Topology,
  options: SimulationOptions,
): Promise<Shrunk | undefined> {
  const report = await simulate(topology, options)
  const check = report.violations[0]?.check
  if (check === undefined) return undefined
  let smallest: Shrunk = { options, report }
  let runs = 0
  for (let hasShrunk = true; hasShrunk && runs < RUNS_MAX;) {
    hasShrunk = false
    for (const smaller of smallerThan(smallest)) {
      runs += 1
      if (runs >= RUNS_MAX) break
      const again = await simulate(topology, smaller)
      if (again.violations[0]?.check !== check) continue
      smallest = { options: smaller, report: again }
      hasShrunk = true
      break
    }
  }
  return smallest
}

/** One thing less at a time, what matters most to a reader first. */
function* smallerThan({ options, report }: Shrunk): Generator<SimulationOptions> {
  const { members, partitions, inputs, steps, faults } = report.options
  const allowed = options.faults ?? FAULTS
  const on = Object.keys(faults) as FaultName[]
  if (on.length < allowed.length) yield { ...options, faults: on }
  for (const fault of on) yield { ...options, faults: on.filter((other) => other !== fault) }
  if (members > 1) yield { ...options, members: members - 1 }
  if (partitions > 1) yield { ...options, partitions: 1 }
  if (inputs > 1) {
    yield { ...options, inputs: Math.ceil(inputs / 2) }
    yield { ...options, inputs: inputs - 1 }
  }
  // What was found was found before this step.
  const foundAt = report.violations[0]?.step ?? steps
  if (foundAt < steps) yield { ...options, steps: foundAt }
  if (steps > 20) yield { ...options, steps: Math.floor(steps / 2) }
}
