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
  const { partitionCounts: outside } = await topicsOn(log)
  refuseMissing(topology, outside)
  // Internal topics go by their short names until they are created.
  const internal = internalPartitions(topology, outside)
  checkCoPartitioning(topology, new Map([...outside, ...internal]))
  await log.createTopics(ownedTopics(topology, outside, internal))
  return topicsOn(log)
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

async function topicsOn(log: Log): Promise<LogTopics> {
  const partitionCounts = new Map<string, number>()
  const batchLimits = new Map<string, number>()
  for (const { topic, partitions, config } of await log.describeTopics()) {
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
