/**
 * Puts orders on their topic: in the log, or, where that is allowed, on this disk until the log takes them (R20).
 *
 * Invariant: an order of a partition is published only after those that were answered before it.
 */
import {
  delay,
  jitteredBackoffMs,
  LogError,
  RecordBatchWriter,
  type Clock,
  type Failpoint,
  type LogWriter,
  type Random,
  type RecordHeaders,
} from '#millrace'
import { inTime } from './in-time.ts'
import type { Outbox } from './outbox.ts'
import type { Order } from './schemas.ts'
import { orders as topic } from './topics.ts'

/** What an order that was taken survives: what the log promises, or what this disk does. */
export type Durable = 'log' | 'local'

/** The first `count` orders of those that were given are durable; the others have not been taken. */
export interface Published {
  readonly durable: Durable
  readonly count: number
}

export interface OrderPublisher {
  publish(partition: number, orders: readonly Order[]): Promise<Published>
  close(): Promise<void>
}

const PLACED: RecordHeaders = [['event', new TextEncoder().encode('OrderPlaced')]]

async function append(
  writer: LogWriter,
  partition: number,
  orders: readonly Order[],
): Promise<void> {
  const batch = new RecordBatchWriter()
  for (const order of orders) {
    const { key, value } = topic.encode(order.item_id, order)
    batch.add(order.timestamp, key, value, PLACED)
  }
  const { count } = batch
  await writer.append({ topic: topic.name, partition, bytes: batch.finish(), count })
}

/** In the log or not at all. */
export class LogPublisher implements OrderPublisher {
  readonly #writer: LogWriter

  constructor(writer: LogWriter) {
    this.#writer = writer
  }

  async publish(partition: number, orders: readonly Order[]): Promise<Published> {
    await append(this.#writer, partition, orders)
    return { durable: 'log', count: orders.length }
  }

  async close(): Promise<void> {}
}

export interface OutboxPublisherOptions {
  readonly writer: LogWriter
  readonly outbox: Outbox
  readonly partitions: number
  readonly clock: Clock
  readonly random: Random
  readonly failpoint: Failpoint
  /** How long the log may take before an order is answered from this disk. */
  readonly answerWithinMs: number
}

/** Places where a drill may kill the process, in the order in which an order passes them. */
export const OUTBOX_FAILPOINTS: readonly string[] = [
  'ingress:kept',
  'ingress:publishing',
  'ingress:published',
]

const BATCH_ORDERS_MAX = 1_000
const RETRY = { baseMs: 50, maxMs: 1_000 }
/** What is still on its way to the log when this closes may take so long; it is on this disk anyway. */
const CLOSE_WITHIN_MS = 2_000

/** One partition's orders on their way. */
interface Lane {
  readonly partition: number
  /** Appends past the outbox that have not ended: what waits on this disk comes after them. */
  readonly underWay: Set<Promise<void>>
  draining: Promise<void> | undefined
  /** The last batch from this disk has reached the log, so the rest soon will have. */
  isCatchingUp: boolean
  emptied: PromiseWithResolvers<void>
}

/**
 * In the log while it answers. While it does not, and until the last order of the partition that waits here has reached it,
 * on this disk, from where one batch a partition is under way at a time.
 */
export class OutboxPublisher implements OrderPublisher {
  readonly #writer: LogWriter
  readonly #outbox: Outbox
  readonly #clock: Clock
  readonly #random: Random
  readonly #failpoint: Failpoint
  readonly #answerWithinMs: number
  readonly #lanes: readonly Lane[]
  readonly #closing: AbortController = new AbortController()

  constructor(options: OutboxPublisherOptions) {
    this.#writer = options.writer
    this.#outbox = options.outbox
    this.#clock = options.clock
    this.#random = options.random
    this.#failpoint = options.failpoint
    this.#answerWithinMs = options.answerWithinMs
    this.#lanes = Array.from({ length: options.partitions }, (_, partition) => ({
      partition,
      underWay: new Set<Promise<void>>(),
      draining: undefined,
      isCatchingUp: false,
      emptied: Promise.withResolvers<void>(),
    }))
    for (const lane of this.#lanes) this.#drain(lane)
  }

  async publish(partition: number, orders: readonly Order[]): Promise<Published> {
    const lane = this.#lanes[partition]
    if (lane === undefined)
      throw new LogError('TOPIC_UNKNOWN', `there is no partition ${partition}`)
    const deadlineMs = this.#clock.elapsedMs() + this.#answerWithinMs
    while (!this.#outbox.isEmpty(partition)) {
      // Were everything kept that comes while the rest leaves, a busy partition would never be rid of its last order.
      const isWorthIt = lane.isCatchingUp && this.#clock.elapsedMs() < deadlineMs
      if (!isWorthIt) return this.#keep(lane, orders)
      await inTime(this.#clock, deadlineMs - this.#clock.elapsedMs(), lane.emptied.promise)
    }
    const past = append(this.#writer, partition, orders)
    let isKept = false
    const ended = past
      .then(() => {
        // What has reached the log after all need not be published again.
        if (isKept) this.#outbox.remove(orders)
      })
      .catch(() => {})
      .then(() => void lane.underWay.delete(ended))
    lane.underWay.add(ended)
    try {
      const appended = past.then(() => true)
      if (await inTime(this.#clock, deadlineMs - this.#clock.elapsedMs(), appended))
        return { durable: 'log', count: orders.length }
    } catch (error) {
      if (!(error instanceof LogError && error.retriable)) throw error
    }
    isKept = true
    return this.#keep(lane, orders)
  }

  /** What has not reached the log by then stays on this disk for the next start. */
  async close(): Promise<void> {
    this.#closing.abort()
    const ends = this.#lanes.flatMap(({ underWay, draining }) => [...underWay, draining])
    await inTime(this.#clock, CLOSE_WITHIN_MS, Promise.all(ends))
  }

  #keep(lane: Lane, orders: readonly Order[]): Published {
    const count = this.#outbox.add(lane.partition, orders)
    this.#failpoint('ingress:kept')
    this.#drain(lane)
    return { durable: 'local', count }
  }

  /** Starts publishing what waits, unless that is under way. */
  #drain(lane: Lane): void {
    if (!this.#closing.signal.aborted) lane.draining ??= this.#publishAll(lane)
  }

  async #publishAll(lane: Lane): Promise<void> {
    const { partition } = lane
    for (let failures = 0; !this.#closing.signal.aborted;) {
      await Promise.all(lane.underWay)
      const orders = this.#outbox.first(partition, BATCH_ORDERS_MAX)
      if (orders.length === 0) break
      this.#failpoint('ingress:publishing')
      try {
        await append(this.#writer, partition, orders)
        this.#failpoint('ingress:published')
        this.#outbox.remove(orders)
        lane.isCatchingUp = true
        failures = 0
      } catch {
        // Whatever it is: these orders have been answered, so there is nothing but to try again.
        lane.isCatchingUp = false
        const waitMs = jitteredBackoffMs(this.#random, failures, RETRY)
        await delay(this.#clock, waitMs, this.#closing.signal)
        failures += 1
      }
    }
    lane.draining = undefined
    lane.isCatchingUp = false
    lane.emptied.resolve()
    lane.emptied = Promise.withResolvers<void>()
  }
}
