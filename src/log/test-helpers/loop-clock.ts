/**
 * A clock that goes by the turns of the event loop, a millisecond a turn, while anybody waits for it.
 *
 * Invariant: however busy the machine is, between two turns no more than a millisecond passes, so what waits for a time-out and
 * what must happen before it keep their order.
 */
import { systemClock, type CancelTimer, type Clock } from '#system'
import { VirtualClock } from '#testing'

export class LoopClock implements Clock {
  readonly #time: VirtualClock = new VirtualClock(systemClock.nowMs())
  #isGoing: boolean = false

  nowMs(): number {
    return this.#time.nowMs()
  }

  elapsedMs(): number {
    return this.#time.elapsedMs()
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const cancel = this.#time.after(delayMs, fire)
    if (!this.#isGoing) {
      this.#isGoing = true
      setImmediate(() => this.#turn())
    }
    return cancel
  }

  turn(): Promise<void> {
    return this.#time.turn()
  }

  #turn(): void {
    this.#time.advance(1)
    this.#isGoing = this.#time.nextTimerMs !== Infinity
    if (this.#isGoing) setImmediate(() => this.#turn())
  }
}
