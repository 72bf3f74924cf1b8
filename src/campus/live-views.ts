/**
 * What the ingress shows of the topics as they grow: closed minutes, and the outcome of an order to whoever waits for it.
 *
 * Invariant: keeps at most a day of minutes, and nothing of orders that nobody waits for.
 */
import type { Log, RawRecord } from '#millrace'
import type { Minute } from './schemas.ts'
import { TopicTail } from './topic-tail.ts'
import { inventoryEvents, metrics } from './topics.ts'

const MINUTES_MAX = 1_440

export class LiveViews {
  readonly minutes: Minute[] = []
  reserved = 0
  failed = 0
  readonly #waiting = new Map<string, Set<() => void>>()
  #tails: readonly TopicTail[] = []

  static async open(log: Log, partitions: number): Promise<LiveViews> {
    const views = new LiveViews()
    const minutes = { name: metrics.name, partitions: 1 }
    const events = { name: inventoryEvents.name, partitions }
    views.#tails = await Promise.all([
      TopicTail.open(log, minutes, 'beginning', (record) => views.#addMinute(record)),
      TopicTail.open(log, events, 'end', (record) => views.#addOutcome(record)),
    ])
    return views
  }

  /** Calls `listener` once, when the order's outcome is on the topic; the answer cancels it. */
  onOutcome(orderId: string, listener: () => void): () => void {
    const listeners = this.#waiting.get(orderId) ?? new Set()
    listeners.add(listener)
    this.#waiting.set(orderId, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#waiting.delete(orderId)
    }
  }

  #addMinute({ buffer, valueStart, valueEnd }: RawRecord): void {
    if (valueStart < 0) return
    this.minutes.push(metrics.value.read(buffer, valueStart, valueEnd))
    if (this.minutes.length > MINUTES_MAX) this.minutes.shift()
  }

  #addOutcome({ buffer, valueStart, valueEnd }: RawRecord): void {
    if (valueStart < 0) return
    const { order_id, status } = inventoryEvents.value.trusted.read(buffer, valueStart, valueEnd)
    this[status] += 1
    const listeners = this.#waiting.get(order_id)
    this.#waiting.delete(order_id)
    for (const listener of listeners ?? []) listener()
  }

  async close(): Promise<void> {
    await Promise.all(this.#tails.map((tail) => tail.close()))
  }
}
