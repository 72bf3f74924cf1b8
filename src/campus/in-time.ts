/**
 * Waits for something, but not for ever.
 *
 * Invariant: what came too late still happens; only nobody here waits for it.
 */
import { delay, type Clock } from '#millrace'

/** What the promise gives; undefined if that takes longer than `waitMs`. */
export async function inTime<T>(
  clock: Clock,
  waitMs: number,
  promise: Promise<T>,
): Promise<T | undefined> {
  const isOver = new AbortController()
  const late = delay(clock, Math.max(0, waitMs), isOver.signal).then(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    isOver.abort()
  }
}
