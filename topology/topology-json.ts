/**
 * A topology as plain data: what tools read of an application that they cannot run.
 *
 * Invariant: functions and serdes appear by name only; equal topologies give equal data.
 */
import type { StoreSpec, TopologyNode } from './node.ts'
import type { Topology } from './topology.ts'

export function toJSON(topology: Topology): unknown {
  const { applicationId, compatibility, subTopologies, internalTopics } = topology
  return {
    applicationId,
    ...(compatibility !== undefined && { compatibility }),
    subTopologies: subTopologies.map(({ number, nodes, stores, coPartitioned }) => ({
      number,
      nodes: nodes.map(plain),
      stores: stores.map(plain),
      coPartitioned,
    })),
    internalTopics,
  }
}

function plain(described: TopologyNode | StoreSpec): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(described)
      .filter(([, value]) => value !== undefined && typeof value !== 'function')
      .map(([name, value]): [string, unknown] => [name, isNamed(value) ? value.name : value])
      .filter(([name]) => name !== 'adder' && name !== 'predicates'),
  )
}

/** Serdes and timestamp extractors are told by name. */
function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value
}
