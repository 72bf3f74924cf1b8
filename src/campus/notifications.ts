/**
 * `notifications`: tells each user how each of their orders ended.
 *
 * Invariant: one record per outcome, keyed by the user.
 */
import { StreamsBuilder, type ProcessorContext, type StreamRecord } from '#millrace'
import type { InventoryEvent, Notification } from './schemas.ts'
import { inventoryEvents, notifications } from './topics.ts'

const builder = new StreamsBuilder('campus-notifications')
const text = new TextDecoder()

/** The user travels in a header of the outcome. */
class Notify {
  #context: ProcessorContext<string, Notification> | undefined

  init(context: ProcessorContext<string, Notification>): void {
    this.#context = context
  }

  process({ value, timestampMs, headers }: StreamRecord<string, InventoryEvent>): void {
    const header = headers.find(([name]) => name === 'user_id')?.[1]
    if (header === null || header === undefined) return
    const user_id = text.decode(header)
    const { order_id, item_id, qty, status, timestamp } = value
    const notification = { order_id, user_id, item_id, qty, status, timestamp }
    this.#context?.forward({ key: user_id, value: notification, timestampMs, headers })
  }
}

builder.stream(inventoryEvents).process('notify', {}, Notify).to(notifications)

export const notificationsTopology = builder.build()
