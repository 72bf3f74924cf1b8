/**
 * The invariants, on campus's topics as Kafka's own console consumer reads them (read committed).
 *
 * Invariant: none of our code reads a record here.
 */
import { consoleConsumer } from '#kafka-for-tests/tools'
import {
  checkCampus,
  type CampusRecord,
  type CampusReport,
  type CheckOptions,
} from '../invariants.ts'
import { inventoryEvents, notifications, orders, stock } from '../topics.ts'

const FIRST_WAIT_MS = 60_000
const IDLE_MS = 4_000

export async function checkByConsole(
  bootstrap: string,
  options: CheckOptions,
): Promise<CampusReport> {
  // Downstream first: what is read of a verdict must find its order.
  const notes = await read(bootstrap, notifications.name)
  const events = await read(bootstrap, inventoryEvents.name)
  const [restocks, placed] = await Promise.all([
    read(bootstrap, stock.name),
    read(bootstrap, orders.name),
  ])
  const feeds = {
    orders: placed,
    stock: restocks,
    'inventory-events': events,
    notifications: notes,
  }
  return checkCampus(feeds, options)
}

async function read(bootstrap: string, topic: string): Promise<readonly CampusRecord[]> {
  const records: CampusRecord[] = []
  const from = { bootstrap, topic, firstWaitMs: FIRST_WAIT_MS, idleMs: IDLE_MS }
  for await (const record of consoleConsumer(from)) records.push(record)
  return records
}
