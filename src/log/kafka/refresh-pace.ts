/**
 * How long to wait before a topic is looked up again: not at all the first time, longer the more often in a row.
 *
 * Invariant: a topic that nobody asked for during QUIET_MS is looked up at once.
 */
import { type Clock, jitteredBackoffMs, type Random } from '#system'

const QUIET_MS = 2_000
const BACKOFF = { baseMs: 10, maxMs: 500 }

export class RefreshPace {
  readonly #clock: Clock
  readonly #random: Random
  readonly #asked: Map<string, { readonly atMs: number; readonly times: number }> = new Map()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  waitMs(topics: Iterable<string>): number {
    let times = 0
    for (const topic of topics) times = Math.max(times, this.#times(topic))
    return times === 0 ? 0 : jitteredBackoffMs(this.#random, times, BACKOFF)
  }

  refreshing(topics: Iterable<string>): void {
    const atMs = this.#clock.elapsedMs()
    for (const [topic, asked] of this.#asked) {
      if (atMs - asked.atMs > QUIET_MS) this.#asked.delete(topic)
    }
    for (const topic of topics) this.#asked.set(topic, { atMs, times: this.#times(topic) + 1 })
  }

  #times(topic: string): number {
    const asked = this.#asked.get(topic)
    if (asked === undefined || this.#clock.elapsedMs() - asked.atMs > QUIET_MS) return 0
    return asked.times
  }
}
