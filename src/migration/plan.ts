/**
 * What a migration would do: which topics in which order, which groups, and what is left behind.
 *
 * Invariant: a plan is made from the source alone and changes nothing. No topic that names offsets goes without those that it
 * names, and none before them.
 */
import type { Log, TopicConfig, TopicDescription, TopicPartition } from '#log'
import { LEDGER_TOPIC } from './ledger.ts'
import { MigrationError } from './migration-error.ts'
import { planGroups, type PlannedGroup } from './plan-groups.ts'
import { topicRoles, type TopicRole } from './topic-roles.ts'

export interface Selection {
  /** All unless said. */
  readonly topics?: readonly string[]
  /** All that can go whole with the chosen topics, unless said. */
  readonly groups?: readonly string[]
}

export interface PlannedTopic extends TopicDescription {
  readonly role: TopicRole
}

export interface MigrationPlan {
  /** In the order in which they are copied; `config` is what they are made with on the target. */
  readonly topics: readonly PlannedTopic[]
  readonly groups: readonly PlannedGroup[]
  /** One line each: what is not carried over as it is. */
  readonly notes: readonly string[]
}

/** Settings that speak of a cluster's machines, not of the topic. */
const OF_THE_CLUSTER: readonly RegExp[] = [
  /^min\.insync\.replicas$/,
  /^(leader|follower)\.replication\./,
  /^(remote|local\.retention)\./,
  /^compression\..*\.level$/,
]

export async function planMigration(source: Log, selection: Selection): Promise<MigrationPlan> {
  const all = (await source.describeTopics()).filter(({ topic }) => topic !== LEDGER_TOPIC)
  const names = all.map(({ topic }) => topic)
  const chosenTopics = new Set(selection.topics ?? names)
  for (const topic of chosenTopics) {
    if (names.includes(topic)) continue
    throw new MigrationError('SELECTION', `there is no topic ${topic} on the source`)
  }
  const roles = await topicRoles(source, names, chosenTopics)
  const notes: string[] = []
  const topics: PlannedTopic[] = []
  for (const described of all) {
    if (!chosenTopics.has(described.topic)) continue
    const role = roles.get(described.topic) ?? { kind: 'plain' }
    if (role.kind !== 'plain') {
      const missing = role.inputs.find((input) => names.includes(input) && !chosenTopics.has(input))
      if (missing !== undefined) refuseWithout(described.topic, missing)
    }
    topics.push({ ...described, config: configOf(described, notes), role })
  }
  const choice = { places: placesOf(all), chosenTopics, named: selection.groups }
  const groups = await planGroups(source, choice, notes)
  return { topics: inOrder(topics), groups, notes }
}

export function placesOf(topics: readonly TopicDescription[]): readonly TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  )
}

function configOf({ topic, config }: TopicDescription, notes: string[]): TopicConfig {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(config)) {
    if (OF_THE_CLUSTER.some((pattern) => pattern.test(name)))
      notes.push(`${topic}: ${name}=${value} is left to the target`)
    else if (name === 'message.timestamp.type' && value !== 'CreateTime')
      notes.push(`${topic}: records keep their timestamps, so ${name}=${value} is left out`)
    else kept[name] = value
  }
  return kept
}

/** Plain topics, then dead letters, each behind those that it may tell of, then journals. */
function inOrder(topics: readonly PlannedTopic[]): readonly PlannedTopic[] {
  const ordered = topics.filter(({ role }) => role.kind === 'plain')
  let waiting = topics.filter(({ role }) => role.kind === 'dead-letters')
  while (waiting.length > 0) {
    const names = new Set(waiting.map(({ topic }) => topic))
    const free = waiting.filter(
      ({ role }) => role.kind !== 'plain' && !role.inputs.some((input) => names.has(input)),
    )
    if (free.length === 0) {
      const circle = [...names].join(', ')
      throw new MigrationError('SELECTION', `${circle} name offsets of each other: leave one out`)
    }
    ordered.push(...free)
    waiting = waiting.filter((topic) => !free.includes(topic))
  }
  return [...ordered, ...topics.filter(({ role }) => role.kind === 'journal')]
}

function refuseWithout(topic: string, missing: string): never {
  const message = `${topic} names offsets of ${missing}: choose both of them, or neither`
  throw new MigrationError('SELECTION', message)
}
