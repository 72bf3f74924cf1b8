/**
 * A clock whose time moves only when it is told to.
 *
 * Invariant: timers fire in the order of their times, those of one time in the order in which they were set, and each sees
 * the clock at its own time.
 */
import { systemClock, type CancelTimer, type Clock } from '#system'

interface Timer {
  readonly atMs: number
  readonly fire: () => void
}

export class VirtualClock implements Clock {
  readonly #startMs: number
  #elapsedMs: number = 0
  #timers: Timer[] = []

  constructor(startMs: number = 0) {
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  elapsedMs(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), fire }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Time stands still for it. */
  turn(): Promise<void> {
    return systemClock.turn()
  }

  /** When the next timer fires, in elapsed milliseconds; Infinity if none is set. */
  get nextTimerMs(): number {
    return Math.min(Infinity, ...this.#timers.map(({ atMs }) => atMs))
  }

  advance(byMs: number): void {
    const endMs = this.#elapsedMs + byMs
    while (this.nextTimerMs <= endMs) {
      const dueMs = this.nextTimerMs
      const index = this.#timers.findIndex(({ atMs }) => atMs === dueMs)
      const [timer] = this.#timers.splice(index, 1)
      this.#elapsedMs = Math.max(this.#elapsedMs, dueMs)
      timer?.fire()
    }
    this.#elapsedMs = endMs
  }
}
