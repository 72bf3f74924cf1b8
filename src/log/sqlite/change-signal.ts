/**
 * Wakes who waits for new data: at once for what was written through this process, within milliseconds for the rest.
 *
 * Invariant: a waiter that names the data version it has read up to misses no later commit, whoever made it.
 */
import type { CancelTimer, Clock, Random } from '#system'

/** Between looks at what other processes wrote; the slow pace is for a log where nothing has happened for a second. */
const POLL_MS = 10
const SLOW_POLL_MS = 40
const SLOW_AFTER_POLLS = 100

export class ChangeSignal {
  readonly #dataVersion: () => number
  readonly #clock: Clock
  readonly #random: Random
  readonly #waiters: Map<() => void, number> = new Map()
  #cancelPoll: CancelTimer | undefined
  #quietPolls: number = 0

  constructor(dataVersion: () => number, clock: Clock, random: Random) {
    this.#dataVersion = dataVersion
    this.#clock = clock
    this.#random = random
  }

  /** Calls `wake` once, when data may be newer than `seen`. The answer cancels it. */
  wait(seen: number, wake: () => void): () => void {
    this.#waiters.set(wake, seen)
    if (this.#cancelPoll === undefined) this.#schedulePoll()
    return () => {
      this.#waiters.delete(wake)
      if (this.#waiters.size === 0) this.#stopPolling()
    }
  }

  /** Something was written through this process. */
  notify(): void {
    this.#quietPolls = 0
    const woken = [...this.#waiters.keys()]
    this.#waiters.clear()
    this.#stopPolling()
    for (const wake of woken) wake()
  }

  close(): void {
    this.notify()
  }

  #stopPolling(): void {
    this.#cancelPoll?.()
    this.#cancelPoll = undefined
  }

  #schedulePoll(): void {
    const paceMs = this.#quietPolls < SLOW_AFTER_POLLS ? POLL_MS : SLOW_POLL_MS
    this.#cancelPoll = this.#clock.after(paceMs * (0.5 + this.#random.next()), () => {
      this.#cancelPoll = undefined
      this.#poll()
    })
  }

  #poll(): void {
    this.#quietPolls += 1
    let version: number
    try {
      version = this.#dataVersion()
    } catch {
      // Whoever waits looks for itself, and meets the error where it can be told.
      return this.notify()
    }
    for (const [wake, seen] of this.#waiters) {
      if (seen === version) continue
      this.#quietPolls = 0
      this.#waiters.delete(wake)
      wake()
    }
    if (this.#waiters.size > 0 && this.#cancelPoll === undefined) this.#schedulePoll()
  }
}
