/**
 * When a task that hears nothing may say that time goes on (R9, R12), and to which time.
 *
 * Invariant: a tick advances by the silence, never to the wall clock; it is decided only when every input has been silent
 * for its policy's `closeMs`, every upstream task is idle, and what the policies wait for agrees.
 *
 * A silence that had begun before the task did counts from then on, once the task has heard nothing for `closeMs` itself. As
 * it is told by a wall clock, it moves time no further than what waits for it: a clock that is wrong closes what is open, and
 * makes nothing late that comes in its own time.
 */
import type { PipelineApi, SubTopology } from '#topology'
import { Silence } from './silence.ts'
import type { RecordQueue } from './record-queue.ts'
import type { ProgressOf } from './task-contract.ts'
import type { UpstreamTimes } from './upstream-times.ts'

/** While silence is measured, fetches are looked at this often: what lies between two looks is one gap. */
const LOOK_EVERY_MS = 1_000
/** How soon to ask again when the silence is long enough and something else stands in the way, and in any case. */
const RETRY_MS = 250
const LOOK_AGAIN_MS = 10

export interface TickerParts {
  readonly subTopology: SubTopology
  readonly queues: readonly RecordQueue[]
  readonly pipeline: PipelineApi
  readonly upstreams: readonly UpstreamTimes[]
}

export class Ticker {
  readonly #silence: Silence
  readonly #pipeline: PipelineApi
  readonly #upstreams: readonly UpstreamTimes[]
  readonly #closeMs: number
  readonly #after: readonly string[]
  readonly #wallClockMs: () => number
  /** Stream time when the silence began. */
  #baseMs: number = -1
  /** Whether everything has been announced that this silence gives reason to. */
  #isAnnounced: boolean = false
  #isBlocked: boolean = false
  #lookedAtMs: number = -Infinity

  constructor(
    { subTopology: { sources }, queues, pipeline, upstreams }: TickerParts,
    wallClockMs: () => number,
  ) {
    this.#silence = new Silence(queues, wallClockMs)
    this.#wallClockMs = wallClockMs
    this.#pipeline = pipeline
    this.#upstreams = upstreams
    this.#closeMs = Math.max(0, ...sources.map(({ idle }) => idle?.closeMs ?? 0))
    this.#after = sources.flatMap(({ idle }) => idle?.after ?? [])
  }

  /** Ticks are only for tasks whose sources ask for them, by a policy or by waiting for the slowest upstream. */
  static of(parts: TickerParts, wallClockMs: () => number): Ticker | undefined {
    const { sources } = parts.subTopology
    const isWanted = sources.some(
      ({ idle, time }) => idle !== undefined || time === 'slowest-upstream',
    )
    return isWanted ? new Ticker(parts, wallClockMs) : undefined
  }

  observe(progressOf: ProgressOf, streamTimeMs: number): void {
    if (this.#silence.observe(progressOf)) return
    this.#baseMs = this.#timeMs(streamTimeMs)
    this.#isAnnounced = false
    this.#isBlocked = false
  }

  /** Whether the task may say that nothing comes at present. */
  isQuiet(elapsedMs: number, mayTick: (applicationId: string) => boolean): boolean {
    const { silentMs } = this.#silence
    this.#lookedAtMs = elapsedMs
    if (silentMs === 0 || silentMs < this.#closeMs) return false
    const isQuiet = this.#upstreams.every(({ allIdle }) => allIdle) && this.#after.every(mayTick)
    this.#isBlocked = !isQuiet
    return isQuiet
  }

  /** The time to tick to, or undefined if nothing waits for it. */
  get dueTickMs(): number | undefined {
    // Elapsed time has fractions, event time has none.
    const targetMs = Math.floor(this.#reachedMs)
    const dueMs = this.#dueMs
    if (this.#baseMs < 0 || targetMs < dueMs) return undefined
    return this.#silence.inheritedMs > 0 ? dueMs : targetMs
  }

  /** When, by the wall clock, it was as late as stream time says: silence counts from then on, also after a restart. */
  heardAtMs(streamTimeMs: number): number {
    const { heardAtMs } = this.#silence
    if (heardAtMs !== undefined) return heardAtMs
    const silentMs = this.#baseMs < 0 ? 0 : this.#reachedMs - this.#timeMs(streamTimeMs)
    return Math.floor(this.#wallClockMs() - Math.max(0, silentMs))
  }

  /** After a restart, before the first look. */
  inherit(heardAtMs: number): void {
    this.#silence.inherit(heardAtMs)
  }

  announced(): void {
    this.#isAnnounced = true
  }

  /** What was announced has been taken back. */
  returned(): void {
    this.#isAnnounced = false
  }

  /** When to look again, in elapsed milliseconds. */
  get nextElapsedMs(): number {
    if (this.#isBlocked || this.#upstreams.some(({ isDoubting }) => isDoubting)) {
      return this.#lookedAtMs + RETRY_MS
    }
    const { silentMs, fetchedAtMs } = this.#silence
    const quietInMs = this.#closeMs - silentMs
    const dueInMs = this.#baseMs < 0 ? Infinity : this.#dueMs - this.#reachedMs
    const neededMs = this.#isAnnounced ? Math.max(quietInMs, dueInMs) : quietInMs
    if (neededMs === Infinity) return Infinity
    const waitMs = Math.min(Math.max(neededMs, 0), LOOK_EVERY_MS)
    return Math.max(fetchedAtMs + waitMs, this.#lookedAtMs + LOOK_AGAIN_MS)
  }

  /** Stream time as it would be, had every silent millisecond been a tick. */
  get #reachedMs(): number {
    return this.#baseMs + this.#silence.silentMs + this.#silence.inheritedMs
  }

  #timeMs(streamTimeMs: number): number {
    return Math.max(streamTimeMs, ...this.#upstreams.map(({ timeMs }) => timeMs))
  }

  get #dueMs(): number {
    let dueMs = this.#pipeline.nextDueStreamTimeMs
    for (const { source } of this.#upstreams) {
      dueMs = Math.min(dueMs, this.#pipeline.nextDueTimeMs(source))
    }
    return dueMs
  }
}
