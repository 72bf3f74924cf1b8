/**
 * Campus's applications on one log and one clock that are in a test's hands, without the ingress.
 *
 * Invariant: time passes only in `pass` and `until`, in small steps, and whatever is ready has run before each.
 */
import {
  RecordBatchWriter,
  Streams,
  openLog,
  partitionFor,
  systemRandom,
  type Happening,
  type Log,
  type RecordHeaders,
  type StreamsOptions,
  type Topology,
} from '#millrace'
import { VirtualClock } from '#millrace/testing'
import { analyticsTopology } from '../analytics.ts'
import { inventoryTopology } from '../inventory.ts'
import { checkCampus, type CampusRecord, type CampusReport } from '../invariants.ts'
import { notificationsTopology } from '../notifications.ts'
import type { Minute, Order } from '../schemas.ts'
import {
  campusTopics,
  inventoryEvents,
  lateRecords,
  metrics,
  notifications,
  orders,
  stock,
} from '../topics.ts'
import { MortalLog } from './mortal-log.ts'
import { readRecords } from './read-records.ts'
import { START_MS, orderOf, restockOf } from './records.ts'

export type Name = 'inventory' | 'analytics' | 'notifications'

const TOPOLOGIES: Readonly<Record<Name, Topology>> = {
  inventory: inventoryTopology,
  analytics: analyticsTopology,
  notifications: notificationsTopology,
}
const PARTITIONS = 4
const STEP_MS = 25
/** With stores on disk, which take real time: so that it does not look like much of the clock's. */
const DISK_STEP_MS = 50
const TURNS = 8
const utf8 = new TextEncoder()
const PLACED: RecordHeaders = [['event', utf8.encode('OrderPlaced')]]

export class CampusRig {
  readonly clock: VirtualClock
  readonly happenings: Happening[] = []
  #log: Log
  readonly #options: Partial<StreamsOptions>
  readonly #running = new Map<Name, { readonly streams: Streams; readonly seen: MortalLog }>()
  #ids = 0

  private constructor(clock: VirtualClock, log: Log, options: Partial<StreamsOptions>) {
    this.clock = clock
    this.#log = log
    this.#options = options
  }

  /** `options` go to every `Streams`; stores are in memory unless they say otherwise. */
  static async open(options: Partial<StreamsOptions> = {}): Promise<CampusRig> {
    const clock = new VirtualClock(START_MS)
    const log = await openLog('memory:', { clock, random: systemRandom })
    await log.createTopics(campusTopics(PARTITIONS))
    return new CampusRig(clock, log, options)
  }

  get log(): Log {
    return this.#log
  }

  /** From now on everything is there; the log before is the caller's to close. Nothing runs meanwhile. */
  moveTo(log: Log): void {
    this.#log = log
  }

  /** The application as a new object, on what an earlier one left. `log` is how it sees the log. */
  async start(name: Name, log: Log = this.#log): Promise<void> {
    const { clock } = this
    const seen = new MortalLog(log)
    const streams = new Streams(TOPOLOGIES[name], {
      ...(!this.#isOnDisk && { backend: 'memory' }),
      ...this.#options,
      log: seen,
      clock,
      observer: (happening) => void this.happenings.push(happening),
    })
    this.#running.set(name, { streams, seen })
    await this.#meanwhile(streams.start())
  }

  async stop(...names: readonly Name[]): Promise<void> {
    for (const name of names) {
      const running = this.#running.get(name)
      this.#running.delete(name)
      await this.#meanwhile(running?.streams.close() ?? Promise.resolve())
    }
  }

  /** As `kill -9` of a process that runs nothing else; stores in memory are gone with it. */
  async kill(name: Name): Promise<void> {
    const running = this.#running.get(name)
    this.#running.delete(name)
    await running?.seen.kill()
  }

  async close(): Promise<void> {
    await this.stop(...this.#running.keys())
    await this.#log.close()
  }

  // -------------------------------------------------------------- records in

  /** Orders of one piece each, at the time of the clock unless told; their ids count up. */
  async order(item: string, count: number = 1, atMs: number = this.clock.nowMs()): Promise<void> {
    const list = Array.from({ length: count }, () => orderOf(`o${this.#ids++}`, item, 1, atMs))
    await this.orders(list)
  }

  /** Each in the partition of its item, in this order, stamped with its own time. */
  async orders(list: readonly Order[]): Promise<void> {
    const batches = Array.from({ length: PARTITIONS }, () => new RecordBatchWriter())
    for (const order of list) {
      const { key, value } = orders.encode(order.item_id, order)
      batches[partitionOf(order.item_id)]?.add(order.timestamp, key, value, PLACED)
    }
    await this.#append(orders.name, batches)
  }

  async restock(item: string, qty: number): Promise<void> {
    const batch = new RecordBatchWriter()
    const { key, value } = stock.encode(item, restockOf(`seed-${item}`, item, qty))
    batch.add(this.clock.nowMs(), key, value, [])
    const batches = Array.from({ length: PARTITIONS }, () => new RecordBatchWriter())
    batches[partitionOf(item)] = batch
    await this.#append(stock.name, batches)
  }

  async #append(topic: string, batches: readonly RecordBatchWriter[]): Promise<void> {
    const writer = await this.#log.writer()
    for (const [partition, batch] of batches.entries()) {
      const { count } = batch
      if (count > 0) await writer.append({ topic, partition, bytes: batch.finish(), count })
    }
    await writer.close()
  }

  // -------------------------------------------------------------- time

  async pass(forMs: number): Promise<void> {
    const endMs = this.clock.elapsedMs() + forMs
    while (this.clock.elapsedMs() < endMs) await this.#step(endMs - this.clock.elapsedMs())
  }

  /** The wall-clock time at which it was so. */
  async until(
    condition: () => boolean | Promise<boolean>,
    what: string,
    withinMs: number = 600_000,
  ): Promise<number> {
    const endMs = this.clock.elapsedMs() + withinMs
    for (;;) {
      await this.#settle()
      if (await condition()) return this.clock.nowMs()
      if (this.clock.elapsedMs() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`)
      this.#checkFailures()
      this.clock.advance(this.#stepMs)
    }
  }

  /** The application has committed all of its inputs, internal ones included. */
  async caughtUp(name: Name): Promise<void> {
    await this.until(async () => {
      const lags = (await this.#running.get(name)?.streams.lag()) ?? []
      return lags.every(({ lagRecords }) => lagRecords === 0)
    }, `${name} has caught up`)
  }

  get #isOnDisk(): boolean {
    return this.#options.stateDir !== undefined
  }

  get #stepMs(): number {
    return this.#isOnDisk ? DISK_STEP_MS : STEP_MS
  }

  async #step(mostMs: number): Promise<void> {
    await this.#settle()
    this.#checkFailures()
    this.clock.advance(Math.min(this.#stepMs, mostMs))
  }

  async #settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await this.clock.turn()
    if (this.#isOnDisk) await Bun.sleep(1)
  }

  #checkFailures(): void {
    for (const { streams } of this.#running.values())
      if (streams.failure !== undefined) throw streams.failure
  }

  /** Time passes until the promise has settled. */
  async #meanwhile<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = (): void => {
      isSettled = true
    }
    promise.then(settled, settled)
    await this.until(() => isSettled, 'a start or stop has ended')
    return promise
  }

  // -------------------------------------------------------------- records out

  read(topic: string): Promise<readonly CampusRecord[]> {
    return readRecords(this.#log, topic)
  }

  async minutes(): Promise<readonly Minute[]> {
    return (await this.read(metrics.name)).map(({ value }) => JSON.parse(value ?? '') as Minute)
  }

  /** When the minute that starts then was emitted. */
  emitted(startMs: number, withinMs?: number): Promise<number> {
    return this.until(
      async () => (await this.minutes()).some(({ window_start }) => window_start === startMs),
      `the minute of ${startMs} is emitted`,
      withinMs,
    )
  }

  /** `notifications` only if that application has run. */
  async check(complete: boolean = true): Promise<CampusReport> {
    const notes = await this.read(notifications.name)
    return checkCampus(
      {
        orders: await this.read(orders.name),
        stock: await this.read(stock.name),
        'inventory-events': await this.read(inventoryEvents.name),
        metrics: await this.read(metrics.name),
        late: await this.read(lateRecords.name),
        ...(notes.length > 0 && { notifications: notes }),
      },
      { complete },
    )
  }
}

export function partitionOf(item: string): number {
  return partitionFor(utf8.encode(item), PARTITIONS)
}

/** One item for each partition. */
export const ITEMS: readonly string[] = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let number = 0; ; number += 1)
    if (partitionOf(`item-${number}`) === partition) return `item-${number}`
})
