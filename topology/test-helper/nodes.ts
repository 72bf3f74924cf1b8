/**
 * Nodes and stores for tests: only what a test is about has to be said.
 *
 * Invariant: what it makes is what the builder would make, but for names.
 */
import type { Adder, SinkNode, SourceNode, StoreSpec, TopologyNode } from '../node.ts'
import type { NodeOf } from '../wiring.ts'
import { plain } from './rig.ts'

type Operator = Exclude<TopologyNode['kind'], 'source' | 'sink'>

export function source(name: string, options: Partial<SourceNode> = {}): SourceNode {
  return {
    kind: 'source',
    name,
    parents: [],
    stores: [],
    topics: [name],
    key: plain,
    value: plain,
    timestampExtractor: undefined,
    internal: false,
    idle: undefined,
    maxAdvanceMs: undefined,
    time: 'records',
    ...options,
  }
}

export function sink(
  parent: string | readonly string[],
  options: Partial<SinkNode> = {},
): SinkNode {
  return {
    kind: 'sink',
    name: 'out',
    parents: [parent].flat(),
    stores: [],
    topic: 'out',
    key: plain,
    value: plain,
    partitionKey: undefined,
    internal: false,
    sendsTime: false,
    ...options,
  }
}

/** An operator below `parent`; everything of its kind must be said, the rest may be. */
export function operator<Kind extends Operator>(
  kind: Kind,
  name: string,
  parent: string | readonly string[],
  rest: Omit<NodeOf<Kind>, 'kind' | 'name' | 'parents' | 'stores'> & {
    readonly stores?: readonly string[]
  },
): NodeOf<Kind> {
  const node: unknown = { kind, name, parents: [parent].flat(), stores: [], ...rest }
  return node as NodeOf<Kind>
}

/** A source, operators each below the one before, a sink. */
export function chain(...operators: readonly TopologyNode[]): readonly TopologyNode[] {
  return [source('in'), ...operators, sink(operators.at(-1)?.name ?? 'in')]
}

const storeCommon = {
  logged: true,
  logEvery: false,
  backend: 'memory',
  ordered: true,
  changelogConfig: {},
} as const

export function tableStore(
  name: string,
  options: { readonly timestamped?: boolean } = {},
): StoreSpec {
  return {
    kind: 'key-value',
    name,
    ...storeCommon,
    key: plain,
    value: plain,
    timestamped: options.timestamped ?? true,
  }
}

export function windowStore(
  name: string,
  windows: { readonly sizeMs: number; readonly graceMs: number },
): StoreSpec {
  return {
    kind: 'window',
    name,
    ...storeCommon,
    ordered: false,
    key: plain,
    value: plain,
    sizeMs: windows.sizeMs,
    retentionMs: windows.sizeMs + windows.graceMs,
    onClose: true,
  }
}

export function suppressStore(name: string): StoreSpec {
  return { kind: 'suppress', name, ...storeCommon, key: plain, value: plain }
}

export function dedupeStore(name: string, withinMs: number): StoreSpec {
  return { kind: 'dedupe', name, ...storeCommon, withinMs }
}

export const count: Adder = { initial: () => 0, add: (aggregate) => (aggregate as number) + 1 }
export const sum: Adder = {
  initial: () => 0,
  add: (aggregate, value) => (aggregate as number) + (value as number),
}
/** Kafka's mock aggregator: `0+a+b`. */
export const concat: Adder = {
  initial: () => '0',
  add: (aggregate, value) => `${String(aggregate)}+${String(value)}`,
}
/** A reducer: the first value stands for itself. */
export const reduceConcat: Adder = { initial: undefined, add: concat.add }
