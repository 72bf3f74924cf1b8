/**
 * Topologies made by hand, so that a task's test says exactly which nodes it is about.
 *
 * Invariant: what it makes is what the compiler would make, but for names and descriptions.
 */
import type {
  AnySerde,
  PairProcessor,
  ProcessorInstance,
  SinkNode,
  SourceNode,
  StoreSpec,
  SubTopology,
  Topology,
  TopologyNode,
  UserProcessor,
} from '#topology'

/** Texts; a value that begins with `bad` cannot be decoded. */
export const text: AnySerde = {
  name: 'text',
  encode: (value) => new TextEncoder().encode(String(value)),
  decode: (bytes) => decodeText(new TextDecoder().decode(bytes)),
  write: (value, target) => target.utf8(String(value)),
  read: (source, start, end) => decodeText(source.utf8Slice(start, end)),
  get trusted() {
    return text
  },
}

/** Numbers as decimal texts. */
export const number: AnySerde = {
  name: 'number',
  encode: (value) => text.encode(value),
  decode: (bytes) => Number(text.decode(bytes)),
  write: (value, target) => text.write(value, target),
  read: (source, start, end) => Number(text.read(source, start, end)),
  get trusted() {
    return number
  },
}

function decodeText(value: string): string {
  if (value.startsWith('bad')) throw new SyntaxError(`cannot read ${value}`)
  return value
}

export function source(name: string, options: Partial<SourceNode> = {}): SourceNode {
  return {
    kind: 'source',
    name,
    parents: [],
    stores: [],
    topics: [name],
    key: text,
    value: text,
    timestampExtractor: undefined,
    internal: false,
    idle: undefined,
    maxAdvanceMs: undefined,
    time: 'records',
    ...options,
  }
}

export function sink(parents: readonly string[], options: Partial<SinkNode> = {}): SinkNode {
  return {
    kind: 'sink',
    name: 'sink',
    parents,
    stores: [],
    topic: 'out',
    key: text,
    value: text,
    partitionKey: undefined,
    internal: false,
    sendsTime: false,
    ...options,
  }
}

/** A processor of the user's. */
export function process(
  name: string,
  parents: readonly string[],
  supplier: () => UserProcessor,
  stores: readonly string[] = [],
): TopologyNode {
  return { kind: 'process', name, parents, stores, supplier, keepsKey: false }
}

export function pairs(
  each: (value: string, key: string) => Iterable<readonly [string, string]>,
): () => PairProcessor {
  return () => ({ processPairs: (value, key) => each(value as string, key as string) })
}

export type AnyProcessor = ProcessorInstance<unknown, unknown, unknown, unknown>

/** A count in windows, emitted when they close. */
export function windowCount(
  name: string,
  parents: readonly string[],
  windows: { readonly sizeMs: number; readonly graceMs: number },
  adds: 'one' | 'value' = 'one',
): TopologyNode {
  return {
    kind: 'window-aggregate',
    name,
    parents,
    stores: [`${name}-store`],
    store: `${name}-store`,
    adder: {
      initial: () => 0,
      add: (total, value) => Number(total) + (adds === 'one' ? 1 : Number(value)),
    },
    windows: { ...windows, advanceMs: windows.sizeMs },
    emit: 'on-close',
    sendsOldValues: false,
  }
}

const storeCommon = {
  logged: true,
  logEvery: false,
  backend: 'memory',
  ordered: true,
  changelogConfig: {},
} as const

export function tableStore(name: string): StoreSpec {
  return { kind: 'key-value', name, ...storeCommon, key: text, value: text, timestamped: true }
}

export function windowStore(
  name: string,
  { sizeMs, graceMs }: { readonly sizeMs: number; readonly graceMs: number },
): StoreSpec {
  return {
    kind: 'window',
    name,
    ...storeCommon,
    key: text,
    value: number,
    sizeMs,
    retentionMs: sizeMs + graceMs,
    onClose: true,
  }
}

export interface Part {
  readonly nodes: readonly TopologyNode[]
  readonly stores?: readonly StoreSpec[]
}

/** One part is one sub-topology; `repartitions` are internal topics. */
export function topologyOf(parts: readonly Part[], repartitions: readonly string[] = []): Topology {
  const subTopologies = parts.map(({ nodes, stores = [] }, index): SubTopology => ({
    number: index,
    nodes,
    sources: nodes.filter((node): node is SourceNode => node.kind === 'source'),
    sinks: nodes.filter((node): node is SinkNode => node.kind === 'sink'),
    stores,
    coPartitioned: [],
  }))
  return {
    applicationId: 'app',
    nodes: parts.flatMap(({ nodes }) => nodes),
    subTopologies,
    internalTopics: repartitions.map((name) => ({
      name,
      kind: 'repartition',
      partitions: undefined,
      config: {},
    })),
    compatibility: undefined,
    describe: () => '',
    toMermaid: () => '',
    toDot: () => '',
    toJSON: () => ({}),
  }
}
