/**
 * Where orders and stock stand: as the inventory's tables say, here or in the process that has that part of them; an order that
 * is not decided yet as the ingress remembers it.
 *
 * Invariant: an order is known, where it was taken, from the moment of its 202; a part of the stock is never shown as all of it.
 */
import { TaskError, partitionFor, taskOf, type Queryable } from '#millrace'
import type { HttpProblem } from '#millrace/http'
import type { Applications } from './applications.ts'
import { inventory, inventoryTopology, ordersById } from './inventory.ts'
import { TASKS, type Neighbours } from './neighbours.ts'
import type { Requests } from './requests.ts'
import type { Decision, Order, Shelf } from './schemas.ts'
import { tryAgain } from './try-again.ts'

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

/** Rows, and the tasks that they are of. */
export interface StockPart {
  readonly rows: readonly ItemStock[]
  readonly tasks: readonly string[]
}

export interface LookupParts {
  readonly applications: Applications
  /** Of a process that takes orders. */
  readonly requests: Requests | undefined
  readonly neighbours: Neighbours
  readonly partitions: number
}

/** `mayAsk` false: the question came from a neighbour, and only what is here is an answer. */
export interface Asking {
  readonly mayAsk: boolean
}

/** What is not here, and who was found to have it. */
class Elsewhere {
  readonly owner: string | undefined

  constructor(owner: string | undefined) {
    this.owner = owner
  }
}

const utf8 = new TextEncoder()

export class OrderLookup {
  readonly #parts: LookupParts

  constructor(parts: LookupParts) {
    this.#parts = parts
  }

  async find(orderId: string, asking: Asking): Promise<OrderStatus | undefined> {
    const path = `/orders/${encodeURIComponent(orderId)}`
    const found = await this.#point(ordersById, orderId, path, asking, statusOf)
    if (found !== undefined && !(found instanceof Elsewhere)) return found
    const order = this.#parts.requests?.findByOrderId(orderId)
    // While its part is moving or restoring, what the ingress remembers is the best answer there is.
    if (order !== undefined) return { ...order, status: 'placed' }
    if (found === undefined) return undefined
    throw notToBeHad(`order ${orderId}`, found.owner)
  }

  async item(itemId: string, asking: Asking): Promise<ItemStock | undefined> {
    const path = `/inventory/${encodeURIComponent(itemId)}`
    const found = await this.#point(inventory, itemId, path, asking, (shelf) =>
      stockOf(itemId, shelf),
    )
    if (found instanceof Elsewhere) throw notToBeHad(`item ${itemId}`, found.owner)
    return found
  }

  /** All of it, or with `mayAsk` false what is here. */
  async stock({ mayAsk }: Asking): Promise<StockPart> {
    const own = await this.#ownStock()
    if (!mayAsk) return own
    const { partitions, neighbours } = this.#parts
    const missing = new Set(
      Array.from({ length: partitions }, (_, partition) =>
        taskOf(inventoryTopology, inventory, partition),
      ).filter((taskId) => !own.tasks.includes(taskId)),
    )
    const rows = [...own.rows]
    for (const taskId of missing) {
      const owner = await neighbours.ownerOf(taskId)
      const part = owner === undefined ? undefined : await this.#askForStock(owner)
      if (part?.tasks.includes(taskId) !== true) throw notToBeHad('the whole inventory', owner)
      rows.push(...part.rows)
      for (const each of part.tasks) missing.delete(each)
    }
    return { rows: rows.sort((a, b) => (a.item_id < b.item_id ? -1 : 1)), tasks: own.tasks }
  }

  async #ownStock(): Promise<StockPart> {
    const streams = this.#parts.applications.running(INVENTORY_ID)
    if (streams === undefined) return { rows: [], tasks: [] }
    const { value, tasks } = await streams.query(inventory).range({}, { localOnly: true })
    return { rows: value.map(({ key, value: shelf }) => stockOf(key, shelf)), tasks }
  }

  async #askForStock(owner: string): Promise<StockPart | undefined> {
    const { neighbours } = this.#parts
    if (neighbours.isSelf(owner)) return undefined
    const answer = await neighbours.ask(owner, '/inventory')
    if (answer?.ok !== true) return undefined
    const tasks = (answer.headers.get(TASKS) ?? '').split(',')
    return { rows: (await answer.json()) as ItemStock[], tasks }
  }

  /** Undefined: who has that part has no such key. */
  async #point<V, A>(
    table: Queryable<string, V>,
    key: string,
    path: string,
    { mayAsk }: Asking,
    answerOf: (value: V) => A,
  ): Promise<A | undefined | Elsewhere> {
    const { applications, neighbours, partitions } = this.#parts
    const streams = applications.running(INVENTORY_ID)
    if (streams !== undefined) {
      try {
        const { value } = await streams.query(table).get(key)
        return value === undefined ? undefined : answerOf(value)
      } catch (error) {
        if (!(error instanceof TaskError)) throw error
      }
    }
    if (!mayAsk) return new Elsewhere(undefined)
    const partition = partitionFor(utf8.encode(key), partitions)
    const owner = await neighbours.ownerOf(taskOf(inventoryTopology, table, partition))
    if (owner === undefined || neighbours.isSelf(owner)) return new Elsewhere(owner)
    const answer = await neighbours.ask(owner, path)
    if (answer?.status === 404) return undefined
    return answer?.ok === true ? ((await answer.json()) as A) : new Elsewhere(owner)
  }
}

function statusOf(decision: Decision): OrderStatus {
  const { order_id, item_id, qty, user_id, timestamp, status, reason } = decision
  const found = { order_id, item_id, qty, user_id, timestamp, status }
  return reason === null ? found : { ...found, reason }
}

function stockOf(item_id: string, { available, reserved }: Shelf): ItemStock {
  return { item_id, available, reserved }
}

function notToBeHad(what: string, owner: string | undefined): HttpProblem {
  const why =
    owner === undefined
      ? 'nobody runs that part of the inventory at present'
      : `${owner} has that part of the inventory and does not answer for it yet`
  return tryAgain(`${what} is not to be had now: ${why}`)
}
