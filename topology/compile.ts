/**
 * From nodes and stores to a topology: what is connected without going through a topic is one sub-topology.
 *
 * Invariant: sub-topologies are numbered by the first of their nodes, in the order in which nodes were added.
 */
import { assert } from '#system'
import { describe } from './describe.ts'
import { toDot, toMermaid } from './diagrams.ts'
import type { SinkNode, SourceNode, StoreSpec, TopologyNode } from './node.ts'
import { toJSON } from './topology-json.ts'
import { timeSenders } from './time-senders.ts'
import { type InternalTopic, type SubTopology, type Topology, TopologyError } from './topology.ts'

export interface TopologyParts {
  readonly applicationId: string
  readonly compatibility: 'kafka-streams' | undefined
  /** In the order in which they were added: parents before children. */
  readonly nodes: readonly TopologyNode[]
  readonly stores: readonly StoreSpec[]
  readonly repartitions: readonly {
    readonly name: string
    readonly partitions: number | undefined
  }[]
  /** Names of sources whose topics must have equal partition counts. */
  readonly coPartitioned: readonly (readonly string[])[]
}

export function compile(parts: TopologyParts): Topology {
  const { applicationId, compatibility } = parts
  const nodes = Object.freeze(keepNullKeysForLeftJoins(parts.nodes).map(frozen))
  const groups = connected(nodes)
  const subTopologies = Object.freeze(
    groups.map((group, number) => subTopology(number, nodes, group, parts)),
  )
  const owned = Object.freeze(internalTopics(parts, subTopologies))
  refuseOutsideTopics(nodes, owned)
  const topology: Topology = {
    applicationId,
    nodes,
    subTopologies,
    internalTopics: owned,
    compatibility,
    describe: () => describe(topology),
    toMermaid: () => toMermaid(topology),
    toDot: () => toDot(topology),
    toJSON: () => toJSON(topology),
  }
  return Object.freeze(topology)
}

function subTopology(
  number: number,
  all: readonly TopologyNode[],
  group: ReadonlySet<string>,
  parts: TopologyParts,
): SubTopology {
  const nodes = all.filter((node) => group.has(node.name))
  const sources = nodes.filter((node): node is SourceNode => node.kind === 'source')
  const sinks = nodes.filter((node): node is SinkNode => node.kind === 'sink')
  // In the order in which the nodes first meet them: caches and changelogs are flushed in it (X5).
  const names = [...new Set(nodes.flatMap((node) => node.stores))]
  const specs = new Map(parts.stores.map((store) => [store.name, store]))
  const stores = names.map((name) => {
    const spec = specs.get(name)
    assert(spec !== undefined, `store ${name} was added`)
    return frozen(spec)
  })
  const compiled: SubTopology = Object.freeze({
    number,
    nodes: Object.freeze(nodes),
    sources: Object.freeze(sources),
    sinks: Object.freeze(sinks),
    stores: Object.freeze(stores),
    coPartitioned: Object.freeze(coPartitionedTopics(sources, parts.coPartitioned)),
  })
  // Throws where a sink passes time on that nothing above it knows.
  timeSenders(compiled)
  return compiled
}

function coPartitionedTopics(
  sources: readonly SourceNode[],
  groups: readonly (readonly string[])[],
): readonly (readonly string[])[] {
  const topicsOf = new Map(sources.map((source) => [source.name, source.topics]))
  return groups
    .map((group) => [...new Set(group.flatMap((source) => topicsOf.get(source) ?? []))])
    .filter((topics) => topics.length > 1)
}

// ---------------------------------------------------------------- what is connected

/** Groups of node names, in the order of their numbers. */
function connected(nodes: readonly TopologyNode[]): readonly ReadonlySet<string>[] {
  const roots = new Map<string, string>()
  const rootOf = (name: string): string => {
    let root = name
    for (let next = roots.get(root); next !== undefined; next = roots.get(root)) root = next
    return root
  }
  const unite = (one: string, other: string): void => {
    const [from, to] = [rootOf(one), rootOf(other)]
    if (from !== to) roots.set(from, to)
  }
  const users = new Map<string, string>()
  for (const node of nodes) {
    for (const parent of node.parents) unite(node.name, parent)
    for (const store of node.stores) {
      const user = users.get(store)
      if (user === undefined) users.set(store, node.name)
      else unite(node.name, user)
    }
  }
  const groups = new Map<string, Set<string>>()
  for (const { name } of nodes) {
    const root = rootOf(name)
    const group = groups.get(root)
    if (group === undefined) groups.set(root, new Set([name]))
    else group.add(name)
  }
  return [...groups.values()]
}

// ---------------------------------------------------------------- null keys

/**
 * A left join keeps records without a key (KIP-962), so the filters of the repartition topics above it let them pass.
 */
function keepNullKeysForLeftJoins(nodes: readonly TopologyNode[]): readonly TopologyNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const sinksOf = new Map<string, string[]>()
  for (const node of nodes) {
    if (node.kind !== 'sink' || typeof node.topic !== 'string' || !node.internal) continue
    sinksOf.set(node.topic, [...(sinksOf.get(node.topic) ?? []), node.name])
  }
  const above = new Set<string>()
  const climb = (name: string): void => {
    if (above.has(name)) return
    above.add(name)
    const node = byName.get(name)
    node?.parents.forEach(climb)
    if (node?.kind !== 'source' || !node.internal) return
    for (const topic of node.topics) sinksOf.get(topic)?.forEach(climb)
  }
  for (const node of nodes) if (node.kind === 'stream-table-join' && node.left) climb(node.name)
  return nodes.map((node) => {
    if (node.kind !== 'drop-null-keys' || !above.has(node.name)) return node
    return { kind: 'pass', name: node.name, parents: node.parents, stores: node.stores }
  })
}

// ---------------------------------------------------------------- topics the application owns

const REPARTITION_CONFIG: Readonly<Record<string, string>> = Object.freeze({
  'cleanup.policy': 'delete',
  'message.timestamp.type': 'CreateTime',
  'retention.ms': '-1',
  'segment.bytes': '52428800',
})

function internalTopics(
  { repartitions }: TopologyParts,
  subTopologies: readonly SubTopology[],
): readonly InternalTopic[] {
  const changelogs = subTopologies
    .flatMap(({ stores }) => stores)
    .filter(({ logged, changelogTopic }) => logged && changelogTopic === undefined)
  return [
    ...repartitions.map(({ name, partitions }) =>
      frozen({ name, kind: 'repartition' as const, partitions, config: REPARTITION_CONFIG }),
    ),
    ...changelogs.map(({ name, changelogConfig: config }) =>
      frozen({
        name: `${name}-changelog`,
        kind: 'changelog' as const,
        partitions: undefined,
        config,
      }),
    ),
  ]
}

/** Internal topics get the application's prefix by their names, so that no other topic may have one of these. */
function refuseOutsideTopics(
  nodes: readonly TopologyNode[],
  owned: readonly InternalTopic[],
): void {
  const names = new Set(owned.map(({ name }) => name))
  for (const node of nodes) {
    if (node.kind !== 'source' && node.kind !== 'sink') continue
    if (node.internal) continue
    const topics = node.kind === 'source' ? node.topics : [node.topic, node.topics ?? []].flat()
    const taken = topics.find((topic) => typeof topic === 'string' && names.has(topic))
    if (taken === undefined) continue
    throw new TopologyError(
      'TOPIC_TAKEN',
      `${node.name}: ${taken} is a topic of the application's own`,
    )
  }
}

function frozen<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (Array.isArray(part)) Object.freeze(part)
  return Object.freeze(value)
}
