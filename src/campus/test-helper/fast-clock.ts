/**
 * The machine's clock, some times as fast: a minute ends while a test waits.
 *
 * Invariant: all of it is as much faster, wall clock, elapsed time and timers alike.
 */
import { systemClock, type Clock } from '#millrace'

export function fastClock(times: number): Clock {
  const startMs = systemClock.nowMs()
  const startElapsedMs = systemClock.elapsedMs()
  const elapsedMs = (): number => (systemClock.elapsedMs() - startElapsedMs) * times
  return {
    nowMs: () => startMs + Math.floor(elapsedMs()),
    elapsedMs,
    after: (delayMs, fire) => systemClock.after(delayMs / times, fire),
    turn: () => systemClock.turn(),
  }
}
