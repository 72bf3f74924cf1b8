/**
 * How many partitions topics must have: asked when the counts of the topics outside are known (semantics 3.4).
 *
 * Invariant: a record and the state that it meets are in partitions of the same number.
 */
import { type SubTopology, type Topology, TopologyError } from './topology.ts'

/** By name as the topology has it: internal topics without the application id. */
export type PartitionCounts = ReadonlyMap<string, number>

/**
 * Partition counts of the topics that the application owns: a changelog as many as its sub-topology has tasks, a repartition
 * topic what was asked for, else what it must equal, else the most of any input of what writes into it.
 */
export function internalPartitions(topology: Topology, counts: PartitionCounts): PartitionCounts {
  const known = new Map(counts)
  const wanted = new Map(
    topology.internalTopics
      .filter(({ kind }) => kind === 'repartition')
      .map(({ name, partitions }) => [name, partitions]),
  )
  for (const [name, partitions] of wanted) {
    if (partitions !== undefined) known.set(name, partitions)
  }
  // A repartition topic may be written from below another one: each round knows what the last one found.
  for (let before = -1; before !== known.size;) {
    before = known.size
    for (const name of wanted.keys()) {
      if (known.has(name)) continue
      const count = equalTo(topology, name, known) ?? mostOfInputs(topology, name, known)
      if (count !== undefined) known.set(name, count)
    }
  }
  for (const { stores, sources } of topology.subTopologies) {
    const tasks =
      mostOf(
        sources.flatMap(({ topics }) => topics),
        known,
      ) ?? 1
    for (const { name } of stores) known.set(`${name}-changelog`, tasks)
  }
  const internal = topology.internalTopics.map(({ name }) => name)
  return new Map(internal.map((name) => [name, known.get(name) ?? 1]))
}

/** NOT_CO_PARTITIONED where topics that meet differ. `counts` has the internal topics too, or they are worked out. */
export function checkCoPartitioning(topology: Topology, counts: PartitionCounts): void {
  const all = new Map([...internalPartitions(topology, counts), ...counts])
  for (const group of topology.subTopologies.flatMap(({ coPartitioned }) => coPartitioned)) {
    const found = group.map((topic) => ({ topic, count: all.get(topic) }))
    const different = new Set(found.map(({ count }) => count))
    if (different.size <= 1) continue
    const shown = found.map(({ topic, count }) => `${topic} has ${count ?? 'an unknown number of'}`)
    throw new TopologyError(
      'NOT_CO_PARTITIONED',
      `${shown.join(', ')} partitions, and must have equally many: repartition one of them`,
    )
  }
}

/** The count of a topic that it must equal. */
function equalTo(topology: Topology, topic: string, known: PartitionCounts): number | undefined {
  const groups = topology.subTopologies
    .flatMap(({ coPartitioned }) => coPartitioned)
    .filter((group) => group.includes(topic))
  return mostOf(groups.flat(), known)
}

/** Undefined as long as a count above is not known. */
function mostOfInputs(
  topology: Topology,
  topic: string,
  known: PartitionCounts,
): number | undefined {
  const writing = topology.subTopologies.filter((subTopology) => writes(subTopology, topic))
  const inputs = writing.flatMap(({ sources }) => sources.flatMap(({ topics }) => topics))
  return inputs.every((input) => known.has(input)) ? mostOf(inputs, known) : undefined
}

function writes({ sinks }: SubTopology, topic: string): boolean {
  return sinks.some((sink) => sink.internal && sink.topic === topic)
}

function mostOf(topics: readonly string[], known: PartitionCounts): number | undefined {
  const counts = topics.map((topic) => known.get(topic)).filter((count) => count !== undefined)
  return counts.length === 0 ? undefined : Math.max(...counts)
}
