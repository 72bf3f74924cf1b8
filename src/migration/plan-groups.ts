/**
 * Which groups are carried over, with the offsets that they have on the source.
 *
 * Invariant: a group goes whole or not at all: with every topic that it has committed offsets of, and every topic that bears
 * its name in front, which is where an application keeps its state.
 */
import {
  partitionKey,
  type GroupDescription,
  type Log,
  type OffsetCommit,
  type TopicPartition,
} from '#log'
import { MigrationError } from './migration-error.ts'

export interface PlannedGroup {
  readonly groupId: string
  /** On the source. */
  readonly offsets: readonly OffsetCommit[]
}

export interface GroupChoice {
  /** Of every topic on the source. */
  readonly places: readonly TopicPartition[]
  readonly chosenTopics: ReadonlySet<string>
  /** Groups asked for by name; undefined takes all that can go whole. */
  readonly named: readonly string[] | undefined
}

/** GROUP_LIVE, OFFSETS_LOST or SELECTION for one that was asked for and cannot go. `notes` gets a line for each left behind. */
export async function planGroups(
  source: Log,
  { places, chosenTopics, named }: GroupChoice,
  notes: string[],
): Promise<readonly PlannedGroup[]> {
  const groups: PlannedGroup[] = []
  const described = await source.describeGroups(named)
  for (const groupId of named ?? []) {
    if (described.some((group) => group.groupId === groupId)) continue
    throw new MigrationError('SELECTION', `there is no group ${groupId} on the source`)
  }
  for (const group of described) {
    const { groupId } = group
    const offsets = await committedBy(source, groupId, places)
    if (offsets.length === 0) continue
    const missing = missingTopic(groupId, offsets, places, chosenTopics)
    if (missing !== undefined) {
      const message = `group ${groupId} needs ${missing}, which is not chosen`
      if (named !== undefined) throw new MigrationError('SELECTION', message)
      notes.push(`${message}: it stays behind`)
      continue
    }
    refuseMembers(group, 'the source')
    await refuseLost(source, groupId, offsets)
    groups.push({ groupId, offsets })
  }
  return groups
}

export function refuseMembers({ groupId, members }: GroupDescription, where: string): void {
  if (members.length === 0) return
  const who = members.map(({ instanceId, memberId }) => instanceId ?? memberId).join(', ')
  throw new MigrationError(
    'GROUP_LIVE',
    `group ${groupId} has members on ${where} (${who}): stop them; places are kept until sessions expire, 10 s unless set`,
  )
}

export async function committedBy(
  log: Log,
  groupId: string,
  places: readonly TopicPartition[],
): Promise<readonly OffsetCommit[]> {
  const committed = await log.committedOffsets(groupId, places)
  return places.flatMap((place) => {
    const found = committed.get(partitionKey(place))
    return found === undefined ? [] : [{ ...place, ...found }]
  })
}

function missingTopic(
  groupId: string,
  offsets: readonly OffsetCommit[],
  places: readonly TopicPartition[],
  chosen: ReadonlySet<string>,
): string | undefined {
  const needed = [...offsets, ...places.filter(({ topic }) => topic.startsWith(`${groupId}-`))]
  return needed.find(({ topic }) => !chosen.has(topic))?.topic
}

/** R22 must stop the application on the target as it would on the source, and an offset that is gone has no place there. */
async function refuseLost(
  source: Log,
  groupId: string,
  offsets: readonly OffsetCommit[],
): Promise<void> {
  for (const { topic, partition, offset } of offsets) {
    const earliest = await source.earliestOffset({ topic, partition })
    if (offset >= earliest) continue
    const place = partitionKey({ topic, partition })
    throw new MigrationError(
      'OFFSETS_LOST',
      `group ${groupId} is at ${offset} of ${place}, which begins at ${earliest}: reset its offset, or name other groups`,
    )
  }
}
