/**
 * The second phase of a run: nothing goes wrong any more, and within bounded time everything must be done (I12).
 *
 * Invariant: who stands still goes on; one process at least is there.
 */
import { partitionKey, type TopicPartition } from '#log'
import { inputTopicsOf } from '#runtime'
import type { World } from './world.ts'

/** Virtual time in which a healed run must have caught up. */
const PATIENCE_MS = 120_000
const STEPS_MAX = 60_000
const LOOK_EVERY_STEPS = 8

export function heal(world: World): void {
  const { scheduler, faults, violations } = world
  faults.heal()
  for (const { process } of world.living) {
    process.resume()
    process.skewMs = 0
  }
  if (world.living.length === 0) world.start('i0')
  const endMs = scheduler.nowMs + PATIENCE_MS
  const endAt = scheduler.steps + STEPS_MAX
  while (scheduler.steps % LOOK_EVERY_STEPS !== 0 || !isDone(world)) {
    const isLate = scheduler.nowMs > endMs || scheduler.steps > endAt
    if (isLate || !scheduler.step()) {
      violations.add('liveness', whatIsLeft(world).join('; '))
      return
    }
    for (const { failure, process } of world.members) {
      if (failure === undefined || process.isGone) continue
      violations.add('worker', `${process.name} has ended: ${String(failure.error)}`)
      return
    }
    if (world.living.length === 0) world.start('i0')
  }
}

function isDone(world: World): boolean {
  return whatIsLeft(world).length === 0
}

/** Why the run is not over. */
function whatIsLeft(world: World): readonly string[] {
  const left: string[] = []
  const { topology, broker, counts } = world
  if (broker.hasOpenTransactions) left.push('a transaction is open')
  for (const { state, process } of world.living) {
    if (state !== 'running') left.push(`${process.name} is ${state}`)
  }
  if (left.length > 0) return left
  const inputs = topology.subTopologies.flatMap((sub) => inputTopicsOf(topology, sub))
  const places: TopicPartition[] = inputs.flatMap((topic) =>
    Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
  )
  const committed = broker.groups.committedOffsets(topology.applicationId, places)
  for (const place of places) {
    const key = partitionKey(place)
    const offset = committed.get(key)?.offset ?? 0
    const end = lastRecordEnd(world, place)
    if (offset < end) left.push(`${key} is at ${offset} of ${end}`)
  }
  return left
}

/** Behind the last record that counts: markers behind it need not be committed. */
function lastRecordEnd({ broker }: World, place: TopicPartition): number {
  const { entries } = broker.partition(place)
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    const entry = entries[at]
    if (entry?.bytes !== undefined && entry.transaction?.isCommitted !== false)
      return entry.nextOffset
  }
  return 0
}
