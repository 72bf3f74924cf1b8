/**
 * How far an application has committed its inputs, asked of the log.
 *
 * Invariant: what nobody ever commits, control records and aborted ones, is nothing to wait for.
 */
import { partitionKey, type Log, type TopicPartition } from '#log'

const PROBE_MS = 50
const PROBE_BYTES = 65_536

/** Every partition of these topics; undefined if one of them is not there. */
export async function placesOf(
  log: Log,
  topics: readonly string[],
): Promise<readonly TopicPartition[] | undefined> {
  const described = await log.describeTopics(topics)
  if (described.length < topics.length) return undefined
  return described.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition): TopicPartition => ({ topic, partition })),
  )
}

export function endsOf(log: Log, places: readonly TopicPartition[]): Promise<readonly number[]> {
  return Promise.all(places.map((place) => log.endOffset(place, 'read-uncommitted')))
}

/** Whether every record below these ends, one for each place, has been committed by the group. */
export async function hasCommitted(
  log: Log,
  groupId: string,
  places: readonly TopicPartition[],
  ends: readonly number[],
): Promise<boolean> {
  const committed = await log.committedOffsets(groupId, places)
  for (const [index, place] of places.entries()) {
    const end = ends[index] ?? 0
    const offset = committed.get(partitionKey(place))?.offset ?? (await log.earliestOffset(place))
    if (offset < end && !(await holdsNoRecord(log, place, offset, end))) return false
  }
  return true
}

async function holdsNoRecord(
  log: Log,
  place: TopicPartition,
  from: number,
  end: number,
): Promise<boolean> {
  const reader = log.reader()
  try {
    reader.assign([{ ...place, position: from }])
    const batches = await reader.poll({ waitMs: PROBE_MS, bytesMax: PROBE_BYTES })
    return batches.length === 0 && (reader.progress(place)?.position ?? from) >= end
  } finally {
    await reader.close()
  }
}
