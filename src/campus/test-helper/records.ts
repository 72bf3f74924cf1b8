/**
 * Orders and restocks for tests, short to write.
 *
 * Invariant: what is not said is the same every time.
 */
import type { Order, Restock } from '../schemas.ts'

/** A full minute, so that windows in tests begin where one would think. */
export const START_MS = 1_700_000_040_000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

export function orderOf(
  order_id: string,
  item_id: string,
  qty: number,
  timestamp: number = START_MS,
  user_id: string = `user-of-${order_id}`,
): Order {
  return { order_id, item_id, qty, user_id, timestamp }
}

export function restockOf(stock_id: string, item_id: string, qty: number): Restock {
  return { stock_id, item_id, qty }
}
