/**
 * Puts the menu on the shelves, once: the first start of a log, before any order is taken.
 *
 * Invariant: the whole seed is one transaction with fixed ids, so half a seed cannot be, and a second one adds nothing.
 */
import { RecordBatchWriter, partitionFor, type Append, type Log } from '#millrace'
import { menu } from './menu.ts'
import { stock } from './topics.ts'

const utf8 = new TextEncoder()

/** True if this start did the seeding. */
export async function seedStock(log: Log, partitions: number, nowMs: number): Promise<boolean> {
  for (let partition = 0; partition < partitions; partition += 1)
    if ((await log.endOffset({ topic: stock.name, partition }, 'read-uncommitted')) > 0)
      return false

  const batches = new Map<number, RecordBatchWriter>()
  for (const { item_id, qty } of menu) {
    const partition = partitionFor(utf8.encode(item_id), partitions)
    const batch = batches.get(partition) ?? new RecordBatchWriter()
    const { key, value } = stock.encode(item_id, { stock_id: `seed-${item_id}`, item_id, qty })
    batch.add(nowMs, key, value, [])
    batches.set(partition, batch)
  }
  const appends: Append[] = [...batches].map(([partition, batch]) => ({
    topic: stock.name,
    partition,
    count: batch.count,
    bytes: batch.finish(),
  }))
  const writer = await log.writer({ transactionalId: 'campus-seed' })
  try {
    const result = await writer.commit({
      appends,
      groupId: undefined,
      member: undefined,
      offsets: [],
    })
    if (result.outcome !== 'committed') throw result.error
    return true
  } finally {
    await writer.close()
  }
}
