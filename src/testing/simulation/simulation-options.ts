/**
 * What a simulation is told, and what its seed makes of it.
 *
 * Invariant: everything that a run depends on is in the expanded options and the seed; they are printed with what was found.
 */
import type { Guarantee, StreamsLimits, TaskOptions } from '#runtime'
import type { Reference } from './checks/reference.ts'
import { drawFaults, FAULTS, type FaultName, type FaultRates } from './fault-plan.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { InputDraw, SimulatedInput } from './simulated-input.ts'

export interface SimulationOptions {
  readonly seed: number
  /** The next record, or several at once. All chance must be the draw's. */
  readonly input: (draw: InputDraw) => SimulatedInput | readonly SimulatedInput[]
  /** At most so many processes at a time; 1 to 3 unless told. */
  readonly members?: number
  /** Of each input topic; 1 to 4 unless told. */
  readonly partitions?: number
  /** How often `input` is called; 10 to 50 unless told. */
  readonly inputs?: number
  /** Steps of chaos; 300 to 1,500 unless told. */
  readonly steps?: number
  /** The faults from which the seed may pick; all of them unless told. */
  readonly faults?: readonly FaultName[]
  readonly log?: 'one-step' | 'transactional'
  readonly guarantee?: Guarantee
  readonly taskOptions?: Partial<TaskOptions>
  /** A second opinion on what is written; the other checks need none. */
  readonly reference?: Reference
  /** Told each step, for people. */
  readonly trace?: (line: string) => void
}

/** All that a run depends on beside its topology, its inputs and its seed. */
export interface ExpandedOptions {
  readonly seed: number
  readonly members: number
  readonly partitions: number
  readonly inputs: number
  readonly steps: number
  readonly log: 'one-step' | 'transactional'
  readonly guarantee: Guarantee
  /** Two processes and one task a sub-topology, of which one stands still in its commits while the other goes on. */
  readonly isDuel: boolean
  readonly standbys: number
  readonly commitIntervalMs: number
  readonly transactionTimeoutMs: number
  readonly replyTimeoutMs: number
  /** Between two bursts of inputs, at most. */
  readonly inputGapMs: number
  /** Mean number of steps from one fault to the next. */
  readonly faultEverySteps: number
  readonly limits: Partial<StreamsLimits>
  /** Of each store. */
  readonly cacheBytesMax: number
  readonly faults: FaultRates
}

/** A commit that can be caught half-way has most to get wrong. */
const MODES = [
  ['transactional', 'exactly-once'],
  ['transactional', 'exactly-once'],
  ['transactional', 'exactly-once'],
  ['transactional', 'at-least-once'],
  ['transactional', 'at-least-once'],
  ['one-step', 'exactly-once'],
] as const

/** What needs a pause inside of a commit, and somebody else who is well, hides among other faults. */
const DUEL_CHANCE = 0.25
const DUEL: ReadonlySet<FaultName> = new Set<FaultName>([
  'pause-in-commit',
  'join',
  'duplicate-input',
  'disorder',
])

/** Everything is drawn, told or not: what is told moves nothing else. */
export function expandOptions(options: SimulationOptions, random: SeededRandom): ExpandedOptions {
  const sessionTimeoutMs = random.pick([300, 600, 1_500]) ?? 600
  const members = random.pick([1, 2, 2, 3]) ?? 2
  const partitions = random.pick([1, 1, 2, 3, 4]) ?? 1
  const inputs = random.between(10, 50)
  const steps = random.between(300, 1_500)
  const [log, guarantee] = random.pick(MODES) ?? MODES[0]
  const isDuel = random.chance(DUEL_CHANCE)
  return {
    seed: options.seed,
    isDuel,
    members: options.members ?? (isDuel ? 2 : members),
    partitions: options.partitions ?? (isDuel ? 1 : partitions),
    inputs: options.inputs ?? inputs,
    steps: options.steps ?? steps,
    log: options.log ?? log,
    guarantee: options.guarantee ?? guarantee,
    standbys: random.chance(0.25) ? 1 : 0,
    commitIntervalMs: random.pick([1, 5, 30, 200]) ?? 30,
    transactionTimeoutMs: random.pick([400, 1_500, 4_000]) ?? 1_500,
    replyTimeoutMs: random.pick([20, 80, 250]) ?? 80,
    inputGapMs: Math.ceil(sessionTimeoutMs * (random.pick([0.05, 0.2, 0.6]) ?? 0.2)),
    faultEverySteps: random.pick([20, 60, 150, 400]) ?? 40,
    limits: {
      sessionTimeoutMs,
      rebalanceTimeoutMs: sessionTimeoutMs * 2,
      fetchBytesMax: random.pick([1, 300, 100_000]) ?? 300,
      stepRecordsMax: random.pick([1, 3, 500]) ?? 3,
      sliceMs: random.pick([0, 10]) ?? 10,
      restoreBatchRows: random.pick([1, 5, 1_000]) ?? 5,
      backoffMsMax: 200,
    },
    cacheBytesMax: random.pick([0, 200, 1_000_000]) ?? 0,
    faults: drawFaults(
      random,
      (options.faults ?? FAULTS).filter((name) => !isDuel || DUEL.has(name)),
    ),
  }
}
