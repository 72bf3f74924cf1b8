/**
 * The shapes of everything campus takes in and writes down.
 *
 * Invariant: a schema that outsiders meet is strict: an unknown or missing field is refused by name.
 */
import * as v from 'valibot'

/** An id a person may choose: short, visible, nothing that could hide in a log line. */
const id = v.pipe(
  v.string(),
  v.nonEmpty('must not be empty'),
  v.maxLength(64, 'must have at most 64 characters'),
  v.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u, 'must not contain control characters'),
)
const quantity = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
)
const item = { item_id: id, qty: v.pipe(quantity, v.maxValue(1_000, 'must be at most 1000')) }
const placed = { order_id: v.string(), ...item, timestamp: v.number() }

export const OrderRequest = v.strictObject({ ...item, user_id: id })
export const StockRequest = v.strictObject({
  stock_id: id,
  item_id: id,
  qty: v.pipe(quantity, v.maxValue(1_000_000, 'must be at most 1000000')),
})
export const ConfirmRequest = v.strictObject({ confirm: v.string() })

export const Order = v.object({ ...placed, user_id: v.string() })
export const InventoryEvent = v.object({ ...placed, status: v.picklist(['reserved', 'failed']) })
export const Decision = v.object({
  ...InventoryEvent.entries,
  user_id: v.string(),
  reason: v.nullable(v.picklist(['out-of-stock', 'unknown-item'])),
})
export const Restock = v.object({ stock_id: v.string(), item_id: v.string(), qty: v.number() })
export const Shelf = v.object({ available: v.number(), reserved: v.number() })
export const Tally = v.object({
  orders: v.number(),
  reserved: v.number(),
  failed: v.number(),
})
export const Minute = v.object({
  window_start: v.number(),
  window_end: v.number(),
  orders: v.number(),
  orders_per_minute: v.number(),
  reserved: v.number(),
  failed: v.number(),
  failure_rate: v.number(),
  late: v.number(),
})
export const Notification = v.object({
  order_id: v.string(),
  user_id: v.string(),
  item_id: v.string(),
  qty: v.number(),
  status: v.picklist(['reserved', 'failed']),
  timestamp: v.number(),
})
/** The value of a record in `campus-analytics-late`: what was refused is a tally of one, or of many further down. */
export const LateRecord = v.object({
  node: v.string(),
  store: v.string(),
  window_start: v.number(),
  window_end: v.number(),
  timestamp: v.number(),
  value: Tally,
})

export type OrderRequest = v.InferOutput<typeof OrderRequest>
export type Order = v.InferOutput<typeof Order>
export type Decision = v.InferOutput<typeof Decision>
export type Shelf = v.InferOutput<typeof Shelf>
export type InventoryEvent = v.InferOutput<typeof InventoryEvent>
export type Notification = v.InferOutput<typeof Notification>
export type Restock = v.InferOutput<typeof Restock>
export type Tally = v.InferOutput<typeof Tally>
export type Minute = v.InferOutput<typeof Minute>
export type LateRecord = v.InferOutput<typeof LateRecord>
