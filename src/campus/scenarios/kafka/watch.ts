/**
 * What a drill sees of the running topology from outside: who holds what, and when something new comes out.
 *
 * Invariant: looks through a log handle of its own, past any proxy; nothing here is part of a check.
 */
import type { Log, TopicPartition } from '#millrace'
import { inventoryEvents, orders } from '../../topics.ts'

export const INVENTORY = 'campus-inventory'
const POLL_MS = 20

/** Members of the group by their static ids, with the partitions of `orders` that each holds. */
export async function holders(log: Log): Promise<ReadonlyMap<string, readonly number[]>> {
  const [group] = await log.describeGroups([INVENTORY])
  return new Map(
    (group?.members ?? []).map(({ instanceId, memberId, partitions }) => [
      instanceId ?? memberId,
      partitions.filter(({ topic }) => topic === orders.name).map(({ partition }) => partition),
    ]),
  )
}

/** Resolves with true when the condition holds, with false when the time is up. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  waitMs: number,
): Promise<boolean> {
  const endMs = performance.now() + waitMs
  while (performance.now() < endMs) {
    if (await condition()) return true
    await Bun.sleep(POLL_MS)
  }
  return condition()
}

/**
 * Sees the first verdict in one of these partitions that was written after this call, and committed: what was on its way
 * before does not count. Milliseconds from `start`, or undefined if none came in time.
 */
export async function firstOutput(
  log: Log,
  partitions: readonly number[],
  start: () => Promise<unknown>,
  waitMs: number,
): Promise<number | undefined> {
  const positions = await Promise.all(
    partitions.map(async (partition) => {
      const at: TopicPartition = { topic: inventoryEvents.name, partition }
      return { ...at, position: await log.endOffset(at, 'read-uncommitted') }
    }),
  )
  const reader = log.reader({ isolation: 'read-committed' })
  try {
    reader.assign(positions)
    const startedMs = performance.now()
    const starting = start()
    let foundMs: number | undefined
    while (foundMs === undefined && performance.now() - startedMs < waitMs) {
      const batches = await reader.poll({ waitMs: POLL_MS, bytesMax: 65_536 })
      if (batches.length > 0) foundMs = performance.now() - startedMs
    }
    await starting
    return foundMs
  } finally {
    await reader.close()
  }
}
