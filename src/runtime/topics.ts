/**
 * The topics of an application: which must be there, which are made, with how many partitions and Kafka Streams' settings.
 *
 * Invariant: when this has resolved every topic that a task reads or writes exists, and how it is on the log is known.
 */
import { LogError, type Log, type TopicSpec } from '#log'
import {
  checkCoPartitioning,
  internalPartitions,
  topicNameOnLog,
  type SubTopology,
  type Topology,
} from '#topology'
import {
  deadLetterTopicOf,
  journalTopicOf,
  lateTopicOf,
  taskCountOf,
  topologyTopicOf,
} from './internal-names.ts'
import type { PartitionCounts } from './task-options.ts'

/** R7: a store may be away half as long. */
const DELETE_RETENTION_MS = 7 * 86_400_000
const KEPT = { 'cleanup.policy': 'delete', 'retention.ms': '-1' }

/** What tasks need to know of every topic on the log, by its name there. */
export interface LogTopics {
  readonly partitionCounts: ReadonlyMap<string, number>
  /** Only of topics that say one. */
  readonly batchLimits: ReadonlyMap<string, number>
}

export async function prepareTopics(
  log: Log,
  topology: Topology,
  createTopics: readonly TopicSpec[] = [],
): Promise<LogTopics> {
  if (createTopics.length > 0) await log.createTopics(createTopics)
  const found = await topicsOn(log, topicsToKnow(topology))
  refuseMissing(topology, found.partitionCounts)
  // Internal topics go by their short names until they are created.
  const internal = internalPartitions(topology, found.partitionCounts)
  checkCoPartitioning(topology, new Map([...found.partitionCounts, ...internal]))
  const owned = ownedTopics(topology, found.partitionCounts, internal)
  const names = owned.map(({ topic }) => topic)
  // At every start but the first all are there: brokers are asked once, not three times.
  const known = names.every((topic) => found.partitionCounts.has(topic))
    ? found
    : merged(found, await created(log, owned))
  refuseOtherwise(owned, known.partitionCounts)
  return known
}

async function created(log: Log, owned: readonly TopicSpec[]): Promise<LogTopics> {
  await log.createTopics(owned)
  return topicsOn(
    log,
    owned.map(({ topic }) => topic),
  )
}

function merged(a: LogTopics, b: LogTopics): LogTopics {
  return {
    partitionCounts: new Map([...a.partitionCounts, ...b.partitionCounts]),
    batchLimits: new Map([...a.batchLimits, ...b.batchLimits]),
  }
}

/** Undefined is all there are: a sink may choose any of them, record by record. */
function topicsToKnow(topology: Topology): readonly string[] | undefined {
  const sinks = topology.subTopologies.flatMap((sub) => sub.sinks)
  if (sinks.some(({ topic }) => typeof topic !== 'string')) return undefined
  const { sources, sinks: named } = outsideTopics(topology)
  const { applicationId } = topology
  const owned = [
    ...topology.internalTopics.map(({ name }) => topicNameOnLog(topology, name)),
    ...topology.subTopologies.map(({ number }) => journalTopicOf(applicationId, number)),
    ...[deadLetterTopicOf, topologyTopicOf, lateTopicOf].map((nameOf) => nameOf(applicationId)),
  ]
  return [...new Set([...sources, ...named, ...owned])]
}

/** Every topic that the program names outside of what it owns; what it chooses record by record is not known. */
export function outsideTopics(topology: Topology): {
  readonly sources: readonly string[]
  readonly sinks: readonly string[]
} {
  const isOutside = (topic: string): boolean => topicNameOnLog(topology, topic) === topic
  const sources = topology.subTopologies.flatMap((sub) => sub.sources.flatMap((s) => s.topics))
  const sinks = topology.subTopologies.flatMap((sub) =>
    sub.sinks.flatMap(({ topic }) => (typeof topic === 'string' ? [topic] : [])),
  )
  return {
    sources: [...new Set(sources.filter(isOutside))],
    sinks: [...new Set(sinks.filter(isOutside))],
  }
}

async function topicsOn(log: Log, names: readonly string[] | undefined): Promise<LogTopics> {
  const partitionCounts = new Map<string, number>()
  const batchLimits = new Map<string, number>()
  for (const { topic, partitions, config } of await log.describeTopics(names)) {
    partitionCounts.set(topic, partitions)
    const batchBytesMax = config['max.message.bytes']
    if (batchBytesMax !== undefined) batchLimits.set(topic, Number(batchBytesMax))
  }
  return { partitionCounts, batchLimits }
}

function refuseMissing(topology: Topology, counts: PartitionCounts): void {
  const { sources, sinks } = outsideTopics(topology)
  const missing = [...sources, ...sinks].filter((topic) => counts.get(topic) === undefined)
  if (missing.length === 0) return
  throw new LogError(
    'TOPIC_UNKNOWN',
    `${topology.applicationId} needs the topics ${missing.join(', ')}: create them, or name them in createTopics`,
  )
}

function refuseOtherwise(owned: readonly TopicSpec[], counts: PartitionCounts): void {
  const other = owned.find(({ topic, partitions }) => counts.get(topic) !== partitions)
  if (other === undefined) return
  const { topic, partitions } = other
  throw new LogError(
    'TOPIC_MISMATCH',
    `${topic} has ${counts.get(topic) ?? 0} partitions, not ${partitions}`,
  )
}

/** Exported for tools that show what an application would own. */
export function ownedTopics(
  topology: Topology,
  outside: ReadonlyMap<string, number>,
  internal: ReadonlyMap<string, number>,
): readonly TopicSpec[] {
  const { applicationId } = topology
  const counts = new Map(outside)
  for (const [name, partitions] of internal) {
    counts.set(topicNameOnLog(topology, name), partitions)
  }
  const specs: TopicSpec[] = topology.internalTopics.map(({ name, kind, config }) => ({
    topic: topicNameOnLog(topology, name),
    partitions: internal.get(name) ?? 1,
    config: kind === 'changelog' ? changelogConfig(config) : config,
  }))
  let tasksMost = 1
  for (const subTopology of topology.subTopologies) {
    const partitions = taskCountOf(topology, subTopology, counts)
    tasksMost = Math.max(tasksMost, partitions)
    if (partitions > 0) specs.push(journal(applicationId, subTopology, partitions))
  }
  specs.push(
    { topic: deadLetterTopicOf(applicationId), partitions: tasksMost, config: KEPT },
    { topic: topologyTopicOf(applicationId), partitions: 1, config: changelogConfig({}) },
  )
  if (topology.compatibility === undefined) {
    specs.push({ topic: lateTopicOf(applicationId), partitions: tasksMost, config: KEPT })
  }
  return specs
}

function journal(applicationId: string, { number }: SubTopology, partitions: number): TopicSpec {
  return { topic: journalTopicOf(applicationId, number), partitions, config: KEPT }
}

function changelogConfig(config: Readonly<Record<string, string>>): TopicSpec['config'] {
  return {
    'cleanup.policy': 'compact',
    'delete.retention.ms': String(DELETE_RETENTION_MS),
    ...config,
  }
}
