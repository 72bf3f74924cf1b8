/**
 * Topics, a builder and ways to look into a topology, for tests of what the builder makes.
 */
import { expect } from 'bun:test'
import { StreamsBuilder } from '../builder.ts'
import type { StoreSpec, TopologyNode } from '../node.ts'
import { long, string } from '../primitive-serdes.ts'
import type { Serde } from '../serde.ts'
import { topic, type Topic } from '../topic.ts'
import type { Topology, TopologyErrorCode } from '../topology.ts'

export const text: { readonly key: Serde<string>; readonly value: Serde<string> } = {
  key: string(),
  value: string(),
}
export const input: Topic<string, string> = topic('in', text)
export const output: Topic<string, string> = topic('out', text)
export const other: Topic<string, string> = topic('other', text)
export const counts: Topic<string, number> = topic('counts', { key: text.key, value: long() })

export const named = (): StreamsBuilder => new StreamsBuilder('app')

export function refused(code: TopologyErrorCode, run: () => unknown): void {
  expect(run).toThrow(expect.objectContaining({ name: 'TopologyError', code }))
}

/** The first node of a kind. */
export function nodeOf<Kind extends TopologyNode['kind']>(
  topology: Topology,
  kind: Kind,
): Extract<TopologyNode, { kind: Kind }> {
  const found = topology.nodes.find((node) => node.kind === kind)
  expect(found).toBeDefined()
  return found as Extract<TopologyNode, { kind: Kind }>
}

export function storeOf(topology: Topology, name: string): StoreSpec | undefined {
  return topology.subTopologies.flatMap(({ stores }) => stores).find((store) => store.name === name)
}
