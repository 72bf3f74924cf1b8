/**
 * Which nodes say what time it is across a repartition (R12): the on-close window aggregates right above a sink that sends time.
 *
 * Invariant: everything such a sink gets comes from its senders, so that the least of their times bounds what may still come.
 */
import type { SinkNode, TopologyNode } from './node.ts'
import { type SubTopology, TopologyError } from './topology.ts'

/** One sending node, and the repartition topic (as the topology names it) in which it announces its time. */
export interface TimeSender {
  readonly topic: string
  readonly node: string
}

/** In wiring order. A downstream node's time is the minimum over all of these and every task of this sub-topology. */
export function timeSenders(subTopology: SubTopology): readonly TimeSender[] {
  const nodes = new Map(subTopology.nodes.map((node) => [node.name, node]))
  return subTopology.sinks
    .filter((sink) => sink.sendsTime)
    .flatMap((sink) => sendersOf(sink, nodes))
}

function sendersOf(
  sink: SinkNode,
  nodes: ReadonlyMap<string, TopologyNode>,
): readonly TimeSender[] {
  const topic = sink.topic
  if (typeof topic !== 'string') {
    throw new TopologyError('UNSUPPORTED', `${sink.name}: a chosen topic cannot carry time`)
  }
  const senders = new Set<string>()
  const climb = (node: TopologyNode): void => {
    for (const name of node.parents) {
      const parent = nodes.get(name)
      if (parent === undefined) continue
      if (parent.kind === 'window-aggregate' && parent.emit === 'on-close') senders.add(name)
      else if (parent.kind === 'source' || parent.kind === 'suppress') refuse(sink, parent)
      else climb(parent)
    }
  }
  climb(sink)
  return [...nodes.keys()].filter((name) => senders.has(name)).map((node) => ({ topic, node }))
}

function refuse(sink: SinkNode, from: TopologyNode): never {
  throw new TopologyError(
    'WINDOW_REQUIRED',
    `${sink.name} passes time on, but ${from.name} reaches it without a window that closes:` +
      ` aggregate with emit 'on-close' before the repartition`,
  )
}
