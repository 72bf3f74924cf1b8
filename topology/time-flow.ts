/**
 * How time reaches the nodes of a sub-topology: from which sources, and how far behind them.
 *
 * Invariant: a node that is told the time by this table is never told a later one than the records still on their way to it
 * can bear.
 *
 * A record takes its time along, at once. But an operator that holds results back sends them late: an on-close aggregate at
 * stream time T may still send a result that happened in a window ending just after T − grace. So what lies below it is
 * that much behind: its grace and a window's length. Otherwise a tick would make the aggregate's own results late further
 * down.
 */
import type { TopologyNode } from './node.ts'
import type { SubTopology } from './topology.ts'

export interface TimeLane {
  readonly source: string
  /** The node's time is the source's less this. */
  readonly delayMs: number
}

export interface TimeFlow {
  /** Sources whose records and ticks move the node's time. */
  readonly recordLanes: readonly TimeLane[]
  /** Sources that say what time it is (R12). With any of these, the others have no say. */
  readonly heldLanes: readonly TimeLane[]
  /** Nodes further up, all the way to the sources. */
  readonly ancestors: ReadonlySet<string>
}

const NOTHING: TimeFlow = { recordLanes: [], heldLanes: [], ancestors: new Set() }

/** By node name. Parents come before children in `nodes`. */
export function timeFlows(subTopology: SubTopology): ReadonlyMap<string, TimeFlow> {
  const flows = new Map<string, TimeFlow>()
  const nodes = new Map(subTopology.nodes.map((node) => [node.name, node]))
  for (const node of subTopology.nodes) {
    const parents = node.parents.flatMap((name) => nodes.get(name) ?? [])
    flows.set(node.name, node.kind === 'source' ? fromSource(node) : merge(parents, flows, nodes))
  }
  return flows
}

function fromSource(node: TopologyNode & { readonly kind: 'source' }): TimeFlow {
  const lanes = [{ source: node.name, delayMs: 0 }]
  return node.time === 'slowest-upstream'
    ? { ...NOTHING, heldLanes: lanes }
    : { ...NOTHING, recordLanes: lanes }
}

function merge(
  parents: readonly TopologyNode[],
  flows: ReadonlyMap<string, TimeFlow>,
  nodes: ReadonlyMap<string, TopologyNode>,
): TimeFlow {
  const recordLanes = new Map<string, number>()
  const heldLanes = new Map<string, number>()
  const ancestors = new Set<string>()
  for (const parent of parents) {
    const flow = flows.get(parent.name) ?? NOTHING
    const delayMs = delayOf(parent, nodes)
    addLanes(recordLanes, flow.recordLanes, delayMs)
    addLanes(heldLanes, flow.heldLanes, delayMs)
    ancestors.add(parent.name)
    for (const ancestor of flow.ancestors) ancestors.add(ancestor)
  }
  return { recordLanes: lanesOf(recordLanes), heldLanes: lanesOf(heldLanes), ancestors }
}

/** Of two ways from one source the slower counts. */
function addLanes(into: Map<string, number>, lanes: readonly TimeLane[], delayMs: number): void {
  for (const lane of lanes) {
    into.set(lane.source, Math.max(into.get(lane.source) ?? 0, lane.delayMs + delayMs))
  }
}

function lanesOf(delays: ReadonlyMap<string, number>): readonly TimeLane[] {
  return [...delays].map(([source, delayMs]) => ({ source, delayMs }))
}

function delayOf(node: TopologyNode, nodes: ReadonlyMap<string, TopologyNode>): number {
  if (node.kind === 'window-aggregate' && node.emit === 'on-close') {
    return node.windows.graceMs + node.windows.sizeMs
  }
  if (node.kind === 'suppress') {
    return node.durationMs + (node.until === 'window-closes' ? windowSizeAbove(node, nodes) : 0)
  }
  return 0
}

function windowSizeAbove(node: TopologyNode, nodes: ReadonlyMap<string, TopologyNode>): number {
  const sizes = node.parents.map((name) => {
    const parent = nodes.get(name)
    if (parent === undefined) return 0
    if (parent.kind === 'window-aggregate') return parent.windows.sizeMs
    return windowSizeAbove(parent, nodes)
  })
  return Math.max(0, ...sizes)
}
