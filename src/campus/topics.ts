/**
 * The topics that campus's applications meet on, and the shape of their keys and values.
 *
 * Invariant: `orders`, `stock` and `inventory-events` are keyed by item, so that a decision is a function of one partition.
 */
import { json, string, topic } from '#millrace'
import { InventoryEvent, LateRecord, Minute, Notification, Order, Restock } from './schemas.ts'

export const orders = topic('orders', { key: string(), value: json(Order) })
export const stock = topic('stock', { key: string(), value: json(Restock) })
export const inventoryEvents = topic('inventory-events', {
  key: string(),
  value: json(InventoryEvent),
})
export const metrics = topic('metrics', { key: string(), value: json(Minute) })
export const notifications = topic('notifications', { key: string(), value: json(Notification) })
/** What `analytics` itself records as late. */
export const lateRecords = topic('campus-analytics-late', {
  key: string(),
  value: json(LateRecord),
})

const DAY_MS = 86_400_000

/** What the first start creates, all with the same partition count but `metrics`, which is one line of minutes. */
export function campusTopics(partitions: number): readonly {
  readonly topic: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}[] {
  const kept = { 'cleanup.policy': 'delete', 'retention.ms': String(7 * DAY_MS) }
  const forEver = { 'cleanup.policy': 'delete', 'retention.ms': '-1' }
  return [
    { topic: orders.name, partitions, config: kept },
    { topic: stock.name, partitions, config: forEver },
    { topic: inventoryEvents.name, partitions, config: kept },
    { topic: lateRecords.name, partitions, config: kept },
    { topic: notifications.name, partitions, config: kept },
    { topic: metrics.name, partitions: 1, config: forEver },
  ]
}
