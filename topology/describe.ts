/**
 * A topology as text, byte for byte as Kafka Streams prints it (semantics 1.8), its order of nodes and neighbours included.
 *
 * Invariant: the text depends on names and connections only.
 */
import { hashOrder, TreeSet } from './java-order.ts'
import type { TopologyNode } from './node.ts'
import type { SubTopology, Topology } from './topology.ts'

/** `size` is 1 plus the sizes of the children, a child reached by two ways counted twice. */
interface Printed {
  readonly node: TopologyNode
  size: number
  readonly above: TreeSet<Printed>
  readonly below: TreeSet<Printed>
}

export function describe(topology: Topology): string {
  return `Topologies:\n ${topology.subTopologies.map(describeSubTopology).join('')}`
}

function describeSubTopology(subTopology: SubTopology): string {
  const nodes = connect(subTopology)
  const lines = nodes.map((printed) => `    ${describeNode(printed)}\n`)
  return `  Sub-topology: ${subTopology.number}\n${lines.join('')}\n`
}

/**
 * Edge by edge, in the reference's order. The sets of neighbours are sorted by size as it is when an edge is made, and sizes
 * grow with every edge: what is placed once is not placed again.
 */
function connect({ nodes }: SubTopology): readonly Printed[] {
  const printed = new Map<string, Printed>()
  for (const node of nodes) {
    const [above, below] = [new TreeSet(largestFirst), new TreeSet(largestFirst)]
    printed.set(node.name, { node, size: 1, above, below })
  }
  const grow = (grown: Printed, by: number): void => {
    grown.size += by
    for (const parent of grown.above) grow(parent, by)
  }
  for (const name of hashOrder(printed.keys())) {
    const child = printed.get(name)
    for (const parentName of child?.node.parents ?? []) {
      const parent = printed.get(parentName)
      if (child === undefined || parent === undefined) continue
      child.above.add(parent)
      parent.below.add(child)
      grow(parent, child.size)
    }
  }
  return [...printed.values()].sort(largestFirst)
}

function largestFirst(one: Printed, other: Printed): number {
  if (one.size !== other.size) return other.size - one.size
  if (one.node.name === other.node.name) return 0
  return one.node.name < other.node.name ? -1 : 1
}

function describeNode({ node, above, below }: Printed): string {
  const after = `      --> ${namesOf(below)}`
  const before = `      <-- ${namesOf(above)}`
  if (node.kind === 'source') {
    return `Source: ${node.name} (topics: [${hashOrder(node.topics).join(', ')}])\n${after}`
  }
  if (node.kind === 'sink') {
    const { topic } = node
    const target =
      typeof topic === 'string'
        ? `topic: ${topic}`
        : `extractor class: ${topic.name || 'anonymous'}`
    return `Sink: ${node.name} (${target})\n${before}`
  }
  const stores = hashOrder(node.stores).join(', ')
  return `Processor: ${node.name} (stores: [${stores}])\n${after}\n${before}`
}

function namesOf(neighbours: TreeSet<Printed>): string {
  return [...neighbours].map(({ node }) => node.name).join(', ') || 'none'
}
