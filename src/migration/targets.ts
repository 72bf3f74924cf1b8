/**
 * The target's topics, before anything is written to them: made, or found empty, or found as this migration left them.
 *
 * Invariant: when this has resolved, every record of a topic that is not finished came from this migration, and the ledger
 * knows where it is.
 */
import { partitionKey, type Log, type TopicDescription, type TopicPartition } from '#log'
import { countOf, settle, topicEntry, type Ledger, type LedgerEntry } from './ledger.ts'
import { MigrationError } from './migration-error.ts'
import { PartitionRecords } from './partition-records.ts'
import { placesOf, type PlannedTopic } from './plan.ts'

/** Looks only: TARGET_IN_USE for what is in the way, and nothing about what is not there. */
export async function checkTargets(
  target: Log,
  topics: readonly PlannedTopic[],
  ledger: Ledger,
): Promise<void> {
  const found = await target.describeTopics(topics.map(({ topic }) => topic))
  const onTarget = new Map(found.map((described) => [described.topic, described]))
  for (const planned of topics) {
    const described = onTarget.get(planned.topic)
    const known = ledger.topics.get(planned.topic)
    if (known !== undefined) {
      if (described?.topicId !== known.targetId)
        refuse(planned.topic, 'is not the one this migration made')
      if (planned.topicId !== known.sourceId)
        refuse(planned.topic, 'came from a topic that was made anew since')
      if (!known.isFinished) await settleTopic(target, planned, ledger)
    } else if (described !== undefined) {
      if (described.partitions !== planned.partitions) {
        const counts = `has ${described.partitions} partitions there and ${planned.partitions} on the source`
        refuse(planned.topic, counts)
      }
      for (const place of placesOf([described])) {
        if ((await lookBehind(target, place, 0)).count > 0)
          refuse(partitionKey(place), 'holds records that this migration did not bring')
      }
    }
  }
}

/** Makes what is missing; gives what the ledger does not know yet. */
export async function makeTargets(
  target: Log,
  topics: readonly PlannedTopic[],
  ledger: Ledger,
): Promise<readonly LedgerEntry[]> {
  const missing = topics.filter(({ topic }) => !ledger.topics.has(topic))
  await target.createTopics(
    missing.map(({ topic, partitions, config }) => ({ topic, partitions, config })),
  )
  const made = await target.describeTopics(missing.map(({ topic }) => topic))
  const byName = new Map(made.map((described) => [described.topic, described]))
  return missing.flatMap((planned) => {
    const described = byName.get(planned.topic)
    return described === undefined ? [] : [topicEntry(planned, described)]
  })
}

/** Finds where each last chunk begins, and that nothing lies behind it. */
async function settleTopic(target: Log, topic: TopicDescription, ledger: Ledger): Promise<void> {
  for (const place of placesOf([topic])) {
    const progress = ledger.partition(place)
    if (progress === undefined) continue
    const known = progress.map.targetEnd
    const { count, last } = await lookBehind(target, place, known)
    const expected = countOf(progress.pending ?? [])
    // The last record of a partition outlives compaction, and the chunk ends with it. If retention has taken all of it,
    // no record is left that could be mistaken.
    const end = last === undefined ? await target.endOffset(place, 'read-uncommitted') : last + 1
    const base = Math.max(known, end - expected)
    if (count > expected || (last !== undefined && last + 1 - expected < known)) {
      refuse(partitionKey(place), 'holds records that this migration did not bring')
    }
    if (progress.pending !== undefined) settle(progress, base)
  }
}

async function lookBehind(
  target: Log,
  place: TopicPartition,
  offset: number,
): Promise<{ readonly count: number; readonly last: number | undefined }> {
  const records = await PartitionRecords.open(target, place, offset)
  try {
    let count = 0
    let last: number | undefined
    while (await records.next()) {
      count += 1
      last = records.cursor.offset
    }
    return { count, last }
  } finally {
    await records.close()
  }
}

function refuse(topic: string, what: string): never {
  throw new MigrationError(
    'TARGET_IN_USE',
    `${topic} on the target ${what}: delete it there, or migrate to another log`,
  )
}
