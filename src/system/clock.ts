/**
 * The only door to time: wall clock, elapsed time and timers are handed in, so that a simulation can own them.
 *
 * Invariant: nothing outside this file, the command line and tests asks the machine what time it is.
 */

/** Stops what a timer would do; calling it again, or after the timer has fired, does nothing. */
export type CancelTimer = () => void

export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. It may jump either way. */
  nowMs(): number
  /** Milliseconds from an arbitrary start, with fractions. It never goes back: durations are measured with it. */
  elapsedMs(): number
  /** Calls `fire` once, `delayMs` from now. */
  after(delayMs: number, fire: () => void): CancelTimer
  /** Lets everything else that is ready run (sockets, timers, messages), then resolves: how a busy loop stays polite. */
  turn(): Promise<void>
}

/** Resolves `delayMs` from now, or at once when `signal` aborts: waking early is not an error. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const wake = (): void => {
      cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(delayMs, wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}
