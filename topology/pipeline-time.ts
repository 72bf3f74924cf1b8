/**
 * The times of a pipeline's nodes, where records do not move them: ticks, time that crossed a repartition, and restarts.
 *
 * Invariant: nodes hear of time parents first, so that what a parent closes is there before its children close; no node's
 * time goes back.
 */
import type { RunContext } from './run-context.ts'
import type { TimeFlow, TimeLane } from './time-flow.ts'
import { UndoableNumber } from './undo-log.ts'
import { streamTimeName, type TimeKeeper } from './wiring.ts'

/** The pipeline's own stream time goes by no node's name. */
const PIPELINE = ''

interface KeptTime {
  readonly keeper: TimeKeeper
  readonly heldLanes: readonly TimeLane[]
  /** How far the node is behind a tick; undefined: ticks do not reach it. */
  readonly tickDelayMs: number | undefined
  /** Keepers above: while anything waits in one, this one is not done. */
  readonly above: readonly TimeKeeper[]
}

export class PipelineTime {
  readonly #run: RunContext
  readonly #kept: readonly KeptTime[]
  /** What was last said below each `slowest-upstream` source. */
  readonly #heldTimesMs: ReadonlyMap<string, UndoableNumber>

  constructor(
    run: RunContext,
    keepers: ReadonlyMap<string, TimeKeeper>,
    flows: ReadonlyMap<string, TimeFlow>,
  ) {
    this.#run = run
    run.announceReturn = () => this.announceReturn()
    this.#kept = [...keepers].map(([name, keeper]) => {
      const { heldLanes = [], recordLanes = [], ancestors } = flows.get(name) ?? {}
      const delays = recordLanes.map((lane) => lane.delayMs)
      return {
        keeper,
        heldLanes,
        tickDelayMs: heldLanes.length > 0 || delays.length === 0 ? undefined : Math.max(...delays),
        above: [...keepers].flatMap(([other, above]) => (ancestors?.has(other) ? [above] : [])),
      }
    })
    const lanes = this.#kept.flatMap(({ heldLanes }) => heldLanes)
    this.#heldTimesMs = new Map(
      lanes.map(({ source }) => [source, new UndoableNumber(run.undoLog, -1)]),
    )
  }

  tick(timeMs: number): void {
    if (timeMs > this.#run.streamTimeMs) this.#run.streamTimeMs = timeMs
    for (const { keeper, tickDelayMs } of this.#kept) {
      if (tickDelayMs !== undefined) keeper.advanceTime(timeMs - tickDelayMs)
    }
  }

  advance(source: string, timeMs: number): void {
    const heldMs = this.#heldTimesMs.get(source)
    if (heldMs === undefined || timeMs <= heldMs.value) return
    heldMs.value = timeMs
    for (const { keeper, heldLanes } of this.#kept) {
      if (heldLanes.some((lane) => lane.source === source)) {
        keeper.advanceTime(this.#heldTimeMs(heldLanes))
      }
    }
  }

  /** Below several such sources the slowest counts. */
  #heldTimeMs(lanes: readonly TimeLane[]): number {
    const times = lanes.map(
      ({ source, delayMs }) => (this.#heldTimesMs.get(source)?.value ?? -1) - delayMs,
    )
    return Math.min(...times)
  }

  get nextDueByTick(): number {
    let dueMs = Infinity
    for (const { keeper, tickDelayMs } of this.#kept) {
      if (tickDelayMs !== undefined) dueMs = Math.min(dueMs, keeper.nextDueTimeMs + tickDelayMs)
    }
    return dueMs
  }

  nextDueBelow(source: string): number {
    let dueMs = Infinity
    for (const { keeper, heldLanes } of this.#kept) {
      const lane = heldLanes.find((candidate) => candidate.source === source)
      if (lane !== undefined) dueMs = Math.min(dueMs, keeper.nextDueTimeMs + lane.delayMs)
    }
    return dueMs
  }

  announceReturn(): boolean {
    let announced = false
    for (const { keeper } of this.#kept) if (keeper.announceReturn?.()) announced = true
    return announced
  }

  announceIdle(): boolean {
    let announced = false
    for (const { keeper, above } of this.#kept) {
      const isFedLater = above.some((other) => other.nextDueTimeMs !== Infinity)
      if (!isFedLater && keeper.announceIdle?.()) announced = true
    }
    return announced
  }

  save(): ReadonlyMap<string, number> {
    const times = new Map<string, number>()
    times.set(streamTimeName(PIPELINE), this.#run.streamTimeMs)
    for (const [source, { value }] of this.#heldTimesMs) times.set(streamTimeName(source), value)
    for (const { keeper } of this.#kept) keeper.saveTimes(times)
    return times
  }

  restore(times: ReadonlyMap<string, number>): void {
    this.#run.streamTimeMs = times.get(streamTimeName(PIPELINE)) ?? this.#run.streamTimeMs
    for (const [source, heldMs] of this.#heldTimesMs) {
      heldMs.value = times.get(streamTimeName(source)) ?? -1
    }
    for (const { keeper } of this.#kept) keeper.restoreTimes(times)
  }
}
