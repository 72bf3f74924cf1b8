/**
 * A topology as a drawing: Mermaid for pages, DOT for Graphviz.
 *
 * Invariant: every node, store and topic is drawn once, and a repartition topic joins the sub-topologies that it connects.
 */
import { nodeText } from './node-text.ts'
import type { TopologyNode } from './node.ts'
import type { SubTopology, Topology } from './topology.ts'

interface Edge {
  readonly from: string
  readonly to: string
  /** A store is used, not fed. */
  readonly isStore: boolean
}

export function toMermaid(topology: Topology): string {
  const ids = new Ids()
  const lines = ['flowchart TD']
  for (const name of topicsOf(topology)) lines.push(`  ${ids.of(`topic ${name}`)}[/"${name}"/]`)
  for (const subTopology of topology.subTopologies) {
    const { number, nodes, stores } = subTopology
    lines.push(`  subgraph sub${number}["sub-topology ${number}"]`)
    for (const node of nodes) lines.push(`    ${ids.of(node.name)}["${nodeText(node)}"]`)
    for (const { name } of stores) lines.push(`    ${ids.of(`store ${name}`)}[("${name}")]`)
    lines.push('  end')
  }
  for (const { from, to, isStore } of edgesOf(topology)) {
    lines.push(`  ${ids.of(from)} ${isStore ? '-.-' : '-->'} ${ids.of(to)}`)
  }
  return `${lines.join('\n')}\n`
}

export function toDot(topology: Topology): string {
  const lines = [`digraph ${quoted(topology.applicationId)} {`, '  node [shape=box]']
  for (const name of topicsOf(topology)) {
    lines.push(`  ${quoted(`topic ${name}`)} [label=${quoted(name)} shape=parallelogram]`)
  }
  for (const { number, nodes, stores } of topology.subTopologies) {
    lines.push(`  subgraph cluster_${number} {`, `    label="sub-topology ${number}"`)
    for (const node of nodes) {
      lines.push(`    ${quoted(node.name)} [label=${quoted(nodeText(node))}]`)
    }
    for (const { name } of stores) {
      lines.push(`    ${quoted(`store ${name}`)} [label=${quoted(name)} shape=cylinder]`)
    }
    lines.push('  }')
  }
  for (const { from, to, isStore } of edgesOf(topology)) {
    const style = isStore ? ' [style=dashed dir=none]' : ''
    lines.push(`  ${quoted(from)} -> ${quoted(to)}${style}`)
  }
  return `${lines.join('\n')}\n}\n`
}

/** Mermaid takes no names with dots or dashes as ids. */
class Ids {
  readonly #ids = new Map<string, string>()

  of(name: string): string {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const id = `n${this.#ids.size}`
    this.#ids.set(name, id)
    return id
  }
}

function topicsOf({ nodes }: Topology): readonly string[] {
  return [...new Set(nodes.flatMap((node) => [...topicsRead(node), ...topicsWritten(node)]))]
}

function topicsRead(node: TopologyNode): readonly string[] {
  return node.kind === 'source' ? node.topics : []
}

/** A chosen topic is drawn by the name of the function that chooses. */
function topicsWritten(node: TopologyNode): readonly string[] {
  if (node.kind !== 'sink') return []
  return [typeof node.topic === 'string' ? node.topic : `${node.topic.name}(…)`]
}

function edgesOf({ subTopologies }: Topology): readonly Edge[] {
  return subTopologies.flatMap(({ nodes }: SubTopology) =>
    nodes.flatMap((node) => [
      ...topicsRead(node).map((topic) => edge(`topic ${topic}`, node.name)),
      ...node.parents.map((parent) => edge(parent, node.name)),
      ...node.stores.map((store) => ({ ...edge(node.name, `store ${store}`), isStore: true })),
      ...topicsWritten(node).map((topic) => edge(node.name, `topic ${topic}`)),
    ]),
  )
}

function edge(from: string, to: string): Edge {
  return { from, to, isStore: false }
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
