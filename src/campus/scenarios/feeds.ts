/**
 * Reads campus's topics for the invariants, from the log's file, beside a running application or without one.
 *
 * Invariant: a feed ends at the offset that was the end when it was asked for.
 */
import { openLog, systemClock, systemRandom } from '#millrace'
import { checkCampus, type CampusReport, type CheckOptions } from '../invariants.ts'
import { readRecords } from '../test-helper/read-records.ts'
import { inventoryEvents, lateRecords, metrics, notifications, orders, stock } from '../topics.ts'

export async function check(logUrl: string, options: CheckOptions): Promise<CampusReport> {
  const log = await openLog(logUrl, { clock: systemClock, random: systemRandom })
  try {
    // Downstream first: what is read of a verdict must find its order.
    const notes = await readRecords(log, notifications.name)
    const late = await readRecords(log, lateRecords.name)
    const minutes = await readRecords(log, metrics.name)
    const events = await readRecords(log, inventoryEvents.name)
    const restocks = await readRecords(log, stock.name)
    const placed = await readRecords(log, orders.name)
    const feeds = {
      orders: placed,
      stock: restocks,
      'inventory-events': events,
      metrics: minutes,
      late,
      notifications: notes,
    }
    return await checkCampus(feeds, options)
  } finally {
    await log.close()
  }
}
