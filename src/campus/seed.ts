/**
 * Puts the menu on the shelves, once: the first start of a log, before any order is taken.
 *
 * Invariant: the whole seed is one transaction with fixed ids, so half a seed cannot be, and a second one adds nothing.
 */
import {
  LogError,
  RecordBatchWriter,
  delay,
  partitionFor,
  type Append,
  type Clock,
  type CommitResult,
  type Log,
} from '#millrace'
import { menu } from './menu.ts'
import { stock } from './topics.ts'

const utf8 = new TextEncoder()
const LOOK_MS = 200

/** True if this start did the seeding. Of several first starts at a time one does it, and the others wait for it. */
export async function seedStock(log: Log, partitions: number, clock: Clock): Promise<boolean> {
  for (;;) {
    if (await isSeeded(log, partitions)) return false
    const result = await commitSeed(log, partitions, clock.nowMs())
    if (result.outcome === 'committed') return true
    const { error } = result
    if (!(error instanceof LogError && error.code === 'LOG_FENCED')) throw error
    await delay(clock, LOOK_MS)
  }
}

async function isSeeded(log: Log, partitions: number): Promise<boolean> {
  for (let partition = 0; partition < partitions; partition += 1)
    if ((await log.endOffset({ topic: stock.name, partition }, 'read-committed')) > 0) return true
  return false
}

async function commitSeed(log: Log, partitions: number, nowMs: number): Promise<CommitResult> {
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
    return await writer.commit({ appends, groupId: undefined, member: undefined, offsets: [] })
  } finally {
    await writer.close()
  }
}
