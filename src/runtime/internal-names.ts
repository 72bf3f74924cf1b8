/**
 * The names of what an application owns on the log, as Kafka Streams gives them, and of what Kafka Streams does not have.
 *
 * Invariant: a name depends on the application id and the topology only.
 */
import { topicNameOnLog, type StoreSpec, type SubTopology, type Topology } from '#topology'

export function taskIdOf(subTopology: number, partition: number): string {
  return `${subTopology}_${partition}`
}

/** `campus-inventory-orders-seen-changelog`; a source table may have its input topic as changelog. */
export function changelogTopicOf(topology: Topology, store: StoreSpec): string {
  if (store.changelogTopic !== undefined) return topicNameOnLog(topology, store.changelogTopic)
  return `${topology.applicationId}-${store.name}-changelog`
}

/** R10: what a sub-topology decided that is not in its inputs; partition = task. */
export function journalTopicOf(applicationId: string, subTopology: number): string {
  return `${applicationId}-${subTopology}-journal`
}

/** Records that came after their window had closed. */
export function lateTopicOf(applicationId: string): string {
  return `${applicationId}-late`
}

/** Records that could not be decoded or whose processing threw. */
export function deadLetterTopicOf(applicationId: string): string {
  return `${applicationId}-dead-letters`
}

/** The stored description of a running application (compacted). */
export function topologyTopicOf(applicationId: string): string {
  return `${applicationId}-topology`
}

/** The topics a sub-topology reads, as the log knows them, in the order of its sources. */
export function inputTopicsOf(topology: Topology, subTopology: SubTopology): readonly string[] {
  const topics = subTopology.sources.flatMap((source) => source.topics)
  return topics.map((topic) => topicNameOnLog(topology, topic))
}

/** Tasks of a sub-topology: one for each partition of its widest input. */
export function taskCountOf(
  topology: Topology,
  subTopology: SubTopology,
  partitionCounts: { get(topic: string): number | undefined },
): number {
  const counts = inputTopicsOf(topology, subTopology).map(
    (topic) => partitionCounts.get(topic) ?? 0,
  )
  return Math.max(0, ...counts)
}
