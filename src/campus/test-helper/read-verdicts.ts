/**
 * All verdicts of a log, checked, and as what two runs of the inventory are compared by.
 *
 * Invariant: equal digests are equal keys, values, headers and timestamps in the same order; offsets may differ.
 */
import type { Log } from '#millrace'
import { checkCampus, type CampusReport } from '../invariants.ts'
import { inventoryEvents, orders, stock } from '../topics.ts'
import { readRecords } from './read-records.ts'

export interface Verdicts {
  /** What a partition of the verdicts holds, by its number. */
  readonly digests: ReadonlyMap<number, string>
  readonly report: CampusReport
}

export async function readVerdicts(log: Log): Promise<Verdicts> {
  const events = await readRecords(log, inventoryEvents.name)
  const hashes = new Map<number, Bun.CryptoHasher>()
  for (const { partition, key, value, headers, timestamp } of events) {
    const hash = hashes.get(partition) ?? new Bun.CryptoHasher('sha256')
    hashes.set(partition, hash)
    hash.update(JSON.stringify([key, value, headers, timestamp]))
  }
  const report = await checkCampus(
    {
      orders: await readRecords(log, orders.name),
      stock: await readRecords(log, stock.name),
      'inventory-events': events,
    },
    { complete: true },
  )
  const digests = new Map([...hashes].map(([partition, hash]) => [partition, hash.digest('hex')]))
  return { digests, report }
}
