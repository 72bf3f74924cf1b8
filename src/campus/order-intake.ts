/**
 * Puts accepted orders and restocks on their topics: what arrives in one turn of the event loop is one write.
 *
 * Invariant: a promise resolves only when its record is as durable as the log promises; orders of an item keep their order.
 */
import {
  RecordBatchWriter,
  partitionFor,
  type Clock,
  type LogWriter,
  type RecordHeaders,
} from '#millrace'
import type { AcceptedOrder, Remembered, Requests } from './requests.ts'
import type { Order, Restock } from './schemas.ts'
import { orders, stock } from './topics.ts'

interface Waiting {
  readonly accepted: AcceptedOrder
  /** What is kept, and therefore appended and answered. */
  remembered: Remembered
  resolve(remembered: Remembered): void
  reject(error: unknown): void
}

const utf8 = new TextEncoder()
const PLACED: RecordHeaders = [['event', utf8.encode('OrderPlaced')]]

export class OrderIntake {
  readonly #writer: LogWriter
  readonly #requests: Requests
  readonly #clock: Clock
  readonly #partitions: number
  #waiting: Waiting[] = []

  constructor(writer: LogWriter, requests: Requests, clock: Clock, partitions: number) {
    this.#writer = writer
    this.#requests = requests
    this.#clock = clock
    this.#partitions = partitions
  }

  /** Orders that have been taken but are not acknowledged yet. */
  get inFlight(): number {
    return this.#waiting.length
  }

  /**
   * Resolves with the order that is kept under this id or key: the given one, or an earlier one. A conflict (`sameBody` false)
   * is not appended.
   */
  place(accepted: AcceptedOrder): Promise<Remembered> {
    return new Promise((resolve, reject) => {
      const remembered = { order: accepted.order, sameBody: true }
      this.#waiting.push({ accepted, remembered, resolve, reject })
      if (this.#waiting.length === 1) void this.#flushAfterThisTurn()
    })
  }

  async #flushAfterThisTurn(): Promise<void> {
    await this.#clock.turn()
    const waiting = this.#waiting
    this.#waiting = []
    try {
      const kept = this.#requests.rememberAll(waiting.map(({ accepted }) => accepted))
      for (const [index, one] of waiting.entries()) one.remembered = kept[index] ?? one.remembered
    } catch (error) {
      for (const { reject } of waiting) reject(error)
      return
    }
    const byPartition = new Map<number, Waiting[]>()
    for (const one of waiting) {
      if (!one.remembered.sameBody) {
        one.resolve(one.remembered)
        continue
      }
      const partition = this.#partitionOf(one.remembered.order.item_id)
      const group = byPartition.get(partition)
      if (group === undefined) byPartition.set(partition, [one])
      else group.push(one)
    }
    for (const [partition, group] of byPartition) void this.#append(partition, group)
  }

  async #append(partition: number, group: readonly Waiting[]): Promise<void> {
    const batch = new RecordBatchWriter()
    for (const { order } of group.map(({ remembered }) => remembered)) {
      const { key, value } = orders.encode(order.item_id, order)
      batch.add(order.timestamp, key, value, PLACED)
    }
    const count = group.length
    try {
      await this.#writer.append({ topic: orders.name, partition, bytes: batch.finish(), count })
      for (const { resolve, remembered } of group) resolve(remembered)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  /** One restock; a repeat of its `stock_id` adds nothing, because the topology drops it. */
  async restock(restock: Restock): Promise<void> {
    const batch = new RecordBatchWriter()
    const { key, value } = stock.encode(restock.item_id, restock)
    batch.add(this.#clock.nowMs(), key, value, [])
    const partition = this.#partitionOf(restock.item_id)
    await this.#writer.append({ topic: stock.name, partition, bytes: batch.finish(), count: 1 })
  }

  #partitionOf(itemId: string): number {
    return partitionFor(utf8.encode(itemId), this.#partitions)
  }
}

/** What the answer to an order looks like, first time and every time. */
export function placedAnswer({ order_id, item_id, qty, user_id, timestamp }: Order): object {
  return { order_id, item_id, qty, user_id, timestamp, status: 'placed' }
}
