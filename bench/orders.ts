/** Orders as a day at campus brings them: 110 bytes of JSON each, keyed by item, 10 ms apart, in batches of 500. */
import { RecordBatchWriter } from '#log'

export interface Order {
  readonly order_id: string
  readonly item_id: string
  readonly qty: number
  readonly user_id: string
  readonly timestamp: number
}

const ITEMS = 100
const STEP_MS = 10
const BATCH_RECORDS = 500
/** 2026-11-24T12:00:00Z, the beginning of a minute. */
const FIRST_MS = 1_795_521_600_000
const utf8 = new TextEncoder()

/** The order with this number; the same number is the same order. */
export function orderOf(number: number): Order {
  // Which item comes next is spread evenly, and the same in every run.
  const spread = Math.imul(number, 0x9e3779b1) >>> 0
  return {
    order_id: `order-${String(number).padStart(12, '0')}`,
    item_id: `item-${String(spread % ITEMS).padStart(3, '0')}`,
    qty: 1 + (spread % 3),
    user_id: `u${spread % 1_000}`,
    timestamp: FIRST_MS + number * STEP_MS,
  }
}

/** Record batches of `count` orders, one after the other, as one append takes them. */
export function orderBatches(orders: Iterable<Order>): {
  readonly bytes: Uint8Array
  readonly count: number
} {
  const batches: Uint8Array[] = []
  const writer = new RecordBatchWriter()
  let count = 0
  for (const order of orders) {
    const value = utf8.encode(JSON.stringify(order))
    writer.add(order.timestamp, utf8.encode(order.item_id), value, [])
    count += 1
    if (writer.count === BATCH_RECORDS) batches.push(writer.finish())
  }
  if (writer.count > 0) batches.push(writer.finish())
  return { bytes: Buffer.concat(batches), count }
}

export function* ordersFrom(first: number, count: number): Iterable<Order> {
  for (let number = first; number < first + count; number += 1) yield orderOf(number)
}

/** Every `n`th order is one that came shortly before: a client that has tried again. */
export function* withRepeats(orders: Iterable<Order>, n: number): Iterable<Order> {
  let at = 0
  let last: Order | undefined
  for (const order of orders) {
    at += 1
    yield last !== undefined && at % n === 0 ? { ...last, timestamp: order.timestamp } : order
    last = order
  }
}
