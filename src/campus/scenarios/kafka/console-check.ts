/**
 * The invariants, on topics as Kafka's own console consumer reads them (read committed).
 *
 * Invariant: none of our code reads a record here; of ours is only how much there is to wait for.
 */
import type { Log } from '#millrace'
import { consoleConsumer } from '#kafka-for-tests/tools'
import {
  checkCampus,
  type CampusRecord,
  type CampusReport,
  type CheckOptions,
} from '../../invariants.ts'
import {
  inventoryEvents,
  lateRecords,
  metrics,
  notifications,
  orders,
  stock,
} from '../../topics.ts'

/** Until Java has started, on a machine that is busy. */
const FIRST_WAIT_MS = 60_000
const IDLE_MS = 4_000
/** Java processes at a time. */
const READERS = 3
const OPEN_MS_MAX = 30_000

export interface ConsoleCheckOptions extends CheckOptions {
  /** Minutes are compared with the orders; else they are not looked at, because the last may be open. */
  readonly minutes: boolean
}

export async function checkByConsole(
  log: Log,
  bootstrap: string,
  options: ConsoleCheckOptions,
): Promise<CampusReport> {
  const names = [orders, inventoryEvents, notifications, stock, metrics, lateRecords].map(
    ({ name }) => name,
  )
  const open = await openTransactions(log, names)
  const feeds = new Map<string, readonly CampusRecord[]>()
  const waiting = [...names]
  const reader = async (): Promise<void> => {
    for (let topic = waiting.shift(); topic !== undefined; topic = waiting.shift())
      feeds.set(topic, (await isEmpty(log, topic)) ? [] : await read(bootstrap, topic))
  }
  await Promise.all(Array.from({ length: READERS }, reader))
  const feed = (name: string): readonly CampusRecord[] => feeds.get(name) ?? []
  const report = await checkCampus(
    {
      orders: feed(orders.name),
      stock: feed(stock.name),
      'inventory-events': feed(inventoryEvents.name),
      notifications: feed(notifications.name),
      ...(options.minutes && { metrics: feed(metrics.name), late: feed(lateRecords.name) }),
    },
    options,
  )
  return { ...report, violations: [...open, ...report.violations] }
}

async function read(bootstrap: string, topic: string): Promise<readonly CampusRecord[]> {
  const records: CampusRecord[] = []
  const from = { bootstrap, topic, firstWaitMs: FIRST_WAIT_MS, idleMs: IDLE_MS }
  for await (const record of consoleConsumer(from)) records.push(record)
  return records
}

async function isEmpty(log: Log, topic: string): Promise<boolean> {
  const ends = await Promise.all((await places(log, topic)).map((at) => log.endOffset(at, ENDS)))
  return ends.every((end) => end === 0)
}
const ENDS = 'read-uncommitted'

/** I12: when everything is quiet, no transaction is open that readers would wait for. */
async function openTransactions(log: Log, topics: readonly string[]): Promise<readonly string[]> {
  const endMs = performance.now() + OPEN_MS_MAX
  for (;;) {
    const open: string[] = []
    for (const topic of topics)
      for (const at of await places(log, topic)) {
        const stable = await log.endOffset(at, 'read-committed')
        const end = await log.endOffset(at, ENDS)
        if (stable < end) open.push(`${topic}-${at.partition}: readers wait at ${stable} of ${end}`)
      }
    if (open.length === 0 || performance.now() > endMs) return open
    await Bun.sleep(200)
  }
}

async function places(
  log: Log,
  topic: string,
): Promise<readonly { readonly topic: string; readonly partition: number }[]> {
  const [description] = await log.describeTopics([topic])
  return Array.from({ length: description?.partitions ?? 0 }, (_, partition) => ({
    topic,
    partition,
  }))
}
