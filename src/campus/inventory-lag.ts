/**
 * How far the inventory is behind, whoever runs it: what the ingress looks at before it takes more.
 *
 * Invariant: nothing committed yet counts as everything still to do.
 */
import { partitionKey, type Log } from '#millrace'
import { INVENTORY_ID } from './order-lookup.ts'
import { orders, stock } from './topics.ts'

/** Control records count, so 0 says caught up and a small number may. */
export async function inventoryLag(log: Log, partitions: number): Promise<number> {
  const places = [orders, stock].flatMap(({ name: topic }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  )
  const committed = await log.committedOffsets(INVENTORY_ID, places, { requireStable: false })
  const lags = await Promise.all(
    places.map(async (place) => {
      const end = await log.endOffset(place, 'read-uncommitted')
      const offset = committed.get(partitionKey(place))?.offset ?? (await log.earliestOffset(place))
      return Math.max(0, end - offset)
    }),
  )
  return lags.reduce((sum, lag) => sum + lag, 0)
}
