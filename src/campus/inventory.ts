/**
 * `inventory`: every order is decided once, against the stock of its item.
 *
 * Invariant: available is never negative, and available + reserved is what was put in.
 */
import { StreamsBuilder, json, store, string } from '#millrace'
import { Shelf, type Decision, type Order } from './schemas.ts'
import { inventoryEvents, orders, stock } from './topics.ts'

const DAY_MS = 86_400_000
const builder = new StreamsBuilder('campus-inventory')

/** What is on the shelf, by item. */
export const inventory = store('inventory', { key: string(), value: json(Shelf) })

builder
  .stream(stock)
  .dedupe('stock-seen', { by: ({ stock_id }) => stock_id, withinMs: DAY_MS })
  .processValues('restock', { inventory }, ({ item_id, qty }, { inventory }) => {
    const { available, reserved } = inventory.get(item_id) ?? { available: 0, reserved: 0 }
    inventory.put(item_id, { available: available + qty, reserved })
    return undefined
  })

const decisions = builder
  .stream(orders, { maxAdvanceMs: DAY_MS })
  .dedupe('orders-seen', { by: ({ order_id }) => order_id, withinMs: DAY_MS })
  .processValues('reserve', { inventory }, (order, { inventory }): Decision => {
    const { item_id, qty } = order
    const shelf = inventory.get(item_id)
    if (shelf === undefined) return decision(order, 'failed', 'unknown-item')
    const { available, reserved } = shelf
    if (available < qty) return decision(order, 'failed', 'out-of-stock')
    inventory.put(item_id, { available: available - qty, reserved: reserved + qty })
    return decision(order, 'reserved', null)
  })

decisions.to(inventoryEvents, {
  headers: ({ status, user_id, reason }) => [
    ['event', status === 'reserved' ? 'InventoryReserved' : 'InventoryFailed'],
    ['user_id', user_id],
    ...(reason === null ? [] : [['reason', reason] as const]),
  ],
})

/** Every decided order, by its id. */
export const ordersById = decisions
  .selectKey(({ order_id }) => order_id)
  .repartition('orders-by-id')
  .toTable('orders-by-id')

function decision(
  { order_id, item_id, qty, user_id, timestamp }: Order,
  status: Decision['status'],
  reason: Decision['reason'],
): Decision {
  return { order_id, item_id, status, qty, timestamp, user_id, reason }
}

export const inventoryTopology = builder.build()
