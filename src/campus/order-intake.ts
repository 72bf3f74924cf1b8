/**
 * Puts accepted orders and restocks on their topics: what arrives in one turn of the event loop is one write.
 *
 * Invariant: a promise resolves only when its record is as durable as it says; orders of an item keep their order.
 */
import { LogError, RecordBatchWriter, partitionFor, type Clock, type LogWriter } from '#millrace'
import { inTime } from './in-time.ts'
import type { Durable, OrderPublisher } from './order-publisher.ts'
import type { AcceptedOrder, Remembered, Requests } from './requests.ts'
import type { Restock } from './schemas.ts'
import { stock } from './topics.ts'

/** What became of an order: what is kept under its id or key, and what that survives. */
export interface Placed extends Remembered {
  readonly durable: Durable
}

interface Waiting {
  readonly accepted: AcceptedOrder
  /** What is kept, and therefore appended and answered. */
  remembered: Remembered
  resolve(placed: Placed): void
  reject(error: unknown): void
}

export interface OrderIntakeParts {
  readonly publisher: OrderPublisher
  /** Restocks go to the log, or are refused. */
  readonly writer: LogWriter
  readonly requests: Requests
  readonly clock: Clock
  readonly partitions: number
  /** How long the log may take before a restock is refused; for ever unless said. */
  readonly answerWithinMs?: number
}

const utf8 = new TextEncoder()

export class OrderIntake {
  readonly #publisher: OrderPublisher
  readonly #writer: LogWriter
  readonly #requests: Requests
  readonly #clock: Clock
  readonly #partitions: number
  readonly #answerWithinMs: number
  #waiting: Waiting[] = []

  constructor(parts: OrderIntakeParts) {
    this.#publisher = parts.publisher
    this.#writer = parts.writer
    this.#requests = parts.requests
    this.#clock = parts.clock
    this.#partitions = parts.partitions
    this.#answerWithinMs = parts.answerWithinMs ?? Infinity
  }

  /** Orders that have been taken but are not acknowledged yet. */
  get inFlight(): number {
    return this.#waiting.length
  }

  /**
   * Resolves with the order that is kept under this id or key: the given one, or an earlier one. A conflict (`sameBody` false)
   * is not appended.
   */
  place(accepted: AcceptedOrder): Promise<Placed> {
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
        one.resolve({ ...one.remembered, durable: 'log' })
        continue
      }
      const partition = this.#partitionOf(one.remembered.order.item_id)
      const group = byPartition.get(partition)
      if (group === undefined) byPartition.set(partition, [one])
      else group.push(one)
    }
    for (const [partition, group] of byPartition) void this.#publish(partition, group)
  }

  async #publish(partition: number, group: readonly Waiting[]): Promise<void> {
    const orders = group.map(({ remembered }) => remembered.order)
    try {
      const { durable, count } = await this.#publisher.publish(partition, orders)
      for (const { resolve, remembered } of group.slice(0, count))
        resolve({ ...remembered, durable })
      const message = 'brokers do not answer, and as many orders wait on this disk as may'
      const full = new LogError('LOG_UNAVAILABLE', message, { retriable: true })
      for (const { reject } of group.slice(count)) reject(full)
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
    const append = { topic: stock.name, partition, bytes: batch.finish(), count: 1 }
    const appended = this.#writer.append(append)
    if (this.#answerWithinMs === Infinity) return void (await appended)
    if ((await inTime(this.#clock, this.#answerWithinMs, appended)) !== undefined) return
    // It may still reach the log; with the same `stock_id` trying again is safe.
    throw new LogError('LOG_UNAVAILABLE', 'brokers do not answer', { retriable: true })
  }

  #partitionOf(itemId: string): number {
    return partitionFor(utf8.encode(itemId), this.#partitions)
  }
}

/** What the answer to an order looks like, first time and every time; `durable` only where it is less than the log's. */
export function placedAnswer({ order, durable }: Placed): object {
  const { order_id, item_id, qty, user_id, timestamp } = order
  const answer = { order_id, item_id, qty, user_id, timestamp, status: 'placed' }
  return durable === 'log' ? answer : { ...answer, durable }
}
