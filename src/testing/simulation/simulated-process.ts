/**
 * A process as its surroundings see it: it runs, it is paused (a long collection, SIGSTOP), or it is gone.
 *
 * Invariant: while it is paused nothing that it waits for reaches it, and afterwards everything does, in order; once it is gone
 * nothing ever does, and nothing it asks for is done.
 */
import type { CancelTimer, Clock } from '#system'
import type { Owner, Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What `turn` and timers may be late by. */
const JITTER_MS = 0.2

/** A new one each time: whoever waits for it is let go of with it. */
export function never(): Promise<never> {
  return new Promise(() => {})
}

export class SimulatedProcess implements Owner {
  readonly name: string
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly clock: Clock
  /** Told of each step of a commit, before it goes on. */
  onStep: (step: string) => void = () => {}
  /** What its wall clock is off by. */
  skewMs: number = 0
  #isGone: boolean = false
  #isPaused: boolean = false
  #held: (() => void)[] = []

  constructor(name: string, scheduler: Scheduler, random: SeededRandom, startMs: number) {
    this.name = name
    this.scheduler = scheduler
    this.random = random
    this.clock = {
      nowMs: () => Math.floor(startMs + scheduler.nowMs + this.skewMs),
      elapsedMs: () => scheduler.nowMs,
      after: (delayMs, fire) => this.after(Math.max(0, delayMs), 'timer', fire),
      turn: () => this.soon('turn'),
    }
  }

  get isGone(): boolean {
    return this.#isGone
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Calls back in this process, a little later than asked. */
  after(delayMs: number, label: string, fire: () => void): CancelTimer {
    const lateMs = this.random.next() * JITTER_MS
    return this.scheduler.after(delayMs + lateMs, this, label, fire)
  }

  soon(label: string): Promise<void> {
    if (this.#isGone) return never()
    return new Promise((resolve) => this.after(0, label, resolve))
  }

  /** It has come to this step of a commit. */
  reach(step: string): void {
    this.onStep(step)
  }

  pause(forMs: number): void {
    if (this.#isPaused || this.#isGone) return
    this.#isPaused = true
    this.scheduler.after(forMs, undefined, 'resume', () => this.resume())
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    for (const queueAgain of this.#held.splice(0)) queueAgain()
  }

  crash(): void {
    this.#isGone = true
    this.#held = []
  }

  holdsBack(queueAgain: () => void): boolean {
    if (this.#isPaused) this.#held.push(queueAgain)
    return this.#isPaused
  }
}
