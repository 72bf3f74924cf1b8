/**
 * Where an order stands: decided, as the inventory's table knows it, or placed, as the ingress remembers it.
 *
 * Invariant: an order is known from the moment of its 202.
 */
import { TaskError } from '#millrace'
import type { Applications } from './applications.ts'
import { inventory, ordersById } from './inventory.ts'
import type { Requests } from './requests.ts'
import type { Decision, Order } from './schemas.ts'

export const INVENTORY_ID = 'campus-inventory'

export type OrderStatus = Order & {
  readonly status: 'placed' | 'reserved' | 'failed'
  readonly reason?: NonNullable<Decision['reason']>
}

export interface ItemStock {
  readonly item_id: string
  readonly available: number
  readonly reserved: number
}

export class OrderLookup {
  readonly #applications: Applications
  readonly #requests: Requests

  constructor(applications: Applications, requests: Requests) {
    this.#applications = applications
    this.#requests = requests
  }

  async find(orderId: string): Promise<OrderStatus | undefined> {
    const decision = await this.#decision(orderId)
    if (decision === undefined) {
      const order = this.#requests.findByOrderId(orderId)
      return order === undefined ? undefined : { ...order, status: 'placed' }
    }
    const { order_id, item_id, qty, user_id, timestamp, status, reason } = decision
    const found = { order_id, item_id, qty, user_id, timestamp, status }
    return reason === null ? found : { ...found, reason }
  }

  async #decision(orderId: string): Promise<Decision | undefined> {
    const streams = this.#applications.running(INVENTORY_ID)
    if (streams === undefined) return undefined
    try {
      return (await streams.query(ordersById).get(orderId)).value
    } catch (error) {
      // While its tasks are moving or restoring, what the ingress remembers is the best answer there is.
      if (error instanceof TaskError) return undefined
      throw error
    }
  }

  /** Undefined while the inventory is not running here. */
  async stock(): Promise<readonly ItemStock[] | undefined> {
    const streams = this.#applications.running(INVENTORY_ID)
    if (streams === undefined) return undefined
    const { value } = await streams.query(inventory).range()
    const rows = value.map(({ key, value: { available, reserved } }) => ({
      item_id: key,
      available,
      reserved,
    }))
    return rows.sort((a, b) => (a.item_id < b.item_id ? -1 : 1))
  }
}
