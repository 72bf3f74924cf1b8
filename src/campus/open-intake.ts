/**
 * Opens the way of orders into the log that a URL names: over brokers, which may be away, with an outbox on this disk (R20).
 *
 * Invariant: on an embedded log, which is this disk, there is no second place for an order.
 */
import type { Clock, Failpoint, LogWriter, Random } from '#millrace'
import { OrderIntake } from './order-intake.ts'
import { LogPublisher, OutboxPublisher } from './order-publisher.ts'
import { Outbox } from './outbox.ts'
import type { Requests } from './requests.ts'

export interface IntakeParts {
  readonly writer: LogWriter
  readonly requests: Requests
  readonly partitions: number
  readonly clock: Clock
  readonly random: Random
  readonly failpoint: Failpoint
  /** Where the outbox is, if there is to be one. */
  readonly outboxPath: string | undefined
}

export interface OpenIntake {
  readonly intake: OrderIntake
  /** Orders that wait on this disk for the log. */
  readonly waiting: () => number
  /** What was taken is in the log, or safe on this disk. */
  close(): Promise<void>
}

/** About 20 MB, and a quarter of an hour at a hundred a second. */
const OUTBOX_ORDERS_MAX = 100_000
const ANSWER_WITHIN_MS = 1_000

export function isOnBrokers(log: string): boolean {
  return log.startsWith('kafka://')
}

export function openIntake(parts: IntakeParts): OpenIntake {
  const { writer, requests, partitions, clock, outboxPath } = parts
  if (outboxPath === undefined) {
    const publisher = new LogPublisher(writer)
    const intake = new OrderIntake({ publisher, writer, requests, clock, partitions })
    return { intake, waiting: () => 0, close: () => writer.flush() }
  }
  const outbox = new Outbox(outboxPath, OUTBOX_ORDERS_MAX)
  const answerWithinMs = ANSWER_WITHIN_MS
  const publisher = new OutboxPublisher({ ...parts, outbox, answerWithinMs })
  return {
    intake: new OrderIntake({ publisher, writer, requests, clock, partitions, answerWithinMs }),
    waiting: () => outbox.count,
    async close() {
      await publisher.close()
      outbox.close()
    },
  }
}
