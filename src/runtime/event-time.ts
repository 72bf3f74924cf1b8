/**
 * Where a task's stream time rises without a record: by time that crossed a repartition, and by ticks (R9, R12).
 *
 * Invariant: stream time never goes back, and whatever is due at the new time has happened when a call returns.
 */
import type { PipelineApi } from '#topology'
import type { TaskInput } from './task-input.ts'
import type { UpstreamTimes } from './upstream-times.ts'

export class EventTime {
  readonly #pipeline: PipelineApi
  readonly #upstreams: readonly UpstreamTimes[]

  constructor(pipeline: PipelineApi, upstreams: readonly UpstreamTimes[]) {
    this.#pipeline = pipeline
    this.#upstreams = upstreams
  }

  /** Time from an upstream task: never shown to a processor, except as the time that it now is (R12). */
  take({ upstream, announced }: TaskInput): void {
    if (upstream === undefined || announced === undefined || !upstream.announce(announced)) return
    this.#raise(upstream.timeMs)
    this.#pipeline.advanceTime(upstream.source, upstream.timeMs)
  }

  /** At a beginning: who had fallen idle before is waited for. True if anybody is. */
  doubt(): boolean {
    let isDoubting = false
    for (const upstream of this.#upstreams) if (upstream.doubt()) isDoubting = true
    return isDoubting
  }

  get isDoubting(): boolean {
    return this.#upstreams.some((upstream) => upstream.isDoubting)
  }

  /** Who is still in doubt is idle indeed. */
  trust(): void {
    for (const upstream of this.#upstreams) {
      if (!upstream.trust()) continue
      this.#raise(upstream.timeMs)
      this.#pipeline.advanceTime(upstream.source, upstream.timeMs)
    }
    this.#pipeline.punctuateStreamTime()
  }

  tick(timeMs: number): void {
    this.#raise(timeMs)
    this.#pipeline.tick(timeMs)
    for (const upstream of this.#upstreams) {
      upstream.advance(timeMs)
      this.#pipeline.advanceTime(upstream.source, timeMs)
    }
    this.#pipeline.punctuateStreamTime()
  }

  #raise(timeMs: number): void {
    if (timeMs > this.#pipeline.streamTimeMs) this.#pipeline.streamTimeMs = timeMs
  }
}
