/**
 * Runs a topology on a simulated log, disk, clock and network: the real workers, tasks, commits, restores and groups, with
 * whatever goes wrong that the seed draws, and checks after every step that nothing is lost, doubled, torn or invented.
 *
 *     const report = await simulate(topology, {
 *       seed: 1,
 *       input: ({ random }) => inputTo(orders, `item-${random.below(3)}`, { qty: 1 }),
 *     })
 *     expect(report.violations).toEqual([])
 *
 * Invariant: the same topology, options and seed give the same run, and the trace hash says that they did.
 */
import { DEFAULT_TASK_OPTIONS } from '#runtime'
import type { Topology } from '#topology'
import { Chaos } from './chaos.ts'
import { heal } from './healing.ts'
import { SeededRandom } from './seeded-random.ts'
import {
  expandOptions,
  type ExpandedOptions,
  type SimulationOptions,
} from './simulation-options.ts'
import type { Violation } from './violations.ts'
import { World } from './world.ts'

export interface SimulationReport {
  readonly seed: number
  /** What the seed made of the options: printed with whatever was found. */
  readonly options: ExpandedOptions
  /** The first ones; empty: all held. */
  readonly violations: readonly Violation[]
  /** How often each fault, and what followed from it, has happened. */
  readonly fired: ReadonlyMap<string, number>
  readonly steps: number
  readonly elapsedMs: number
  readonly traceHash: string
}

export async function simulate(
  topology: Topology,
  options: SimulationOptions,
): Promise<SimulationReport> {
  const random = new SeededRandom(options.seed, 'world')
  const expanded = expandOptions(options, random.fork('options'))
  const world = await World.of({
    topology,
    options: expanded,
    random,
    taskOptions: {
      ...DEFAULT_TASK_OPTIONS,
      cacheBytesMax: expanded.cacheBytesMax,
      ...options.taskOptions,
    },
    reference: options.reference,
    trace: options.trace,
  })
  await new Chaos(world, options.input).run()
  heal(world)
  await world.stores.all()
  await world.outputs?.replay(random.fork('replay'))
  const { scheduler, violations, faults } = world
  return {
    seed: options.seed,
    options: expanded,
    violations: violations.found,
    fired: faults.fired,
    steps: scheduler.steps,
    elapsedMs: scheduler.nowMs,
    traceHash: scheduler.traceHash,
  }
}
