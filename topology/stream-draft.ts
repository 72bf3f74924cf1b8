/**
 * A stream in the making: where the next node of it is attached, and what is known of its records.
 *
 * Invariant: an operation adds nodes below and returns another draft; the draft it was called on stays what it was.
 */
import type { Draft, OperatorBody } from './draft.ts'
import { PREFIX, type Prefix } from './names.ts'
import type { AnySerde, PairMapper, Predicate, SinkNode, ValueMapper } from './node.ts'
import type { UserProcessor } from './processor.ts'
import { addRepartition, type RepartitionSettings } from './repartition-draft.ts'
import {
  type CachedSettings,
  dedupeStore,
  emitOf,
  type StoreSettings,
  tableStore,
} from './store-specs.ts'
import { TableDraft } from './table-draft.ts'
import { TopologyError } from './topology.ts'
import { WindowedSerde } from './windowed-serde.ts'

export interface StreamFacts {
  /** The node that feeds what comes next. */
  readonly node: string
  /** The name that an unnamed repartition topic is made of: the node's, but for a source that was merged with another. */
  readonly name: string
  /** The sources above, as far as the last repartition topic: who must be co-partitioned. */
  readonly sources: readonly string[]
  /** The key may have changed since it chose the partition. */
  readonly rekeyed: boolean
  /** Undefined: not known since an operator changed it. */
  readonly key: AnySerde | undefined
  readonly value: AnySerde | undefined
}

export class StreamDraft {
  readonly draft: Draft
  readonly facts: StreamFacts

  constructor(draft: Draft, facts: StreamFacts) {
    this.draft = draft
    this.facts = facts
  }

  get keySerde(): AnySerde {
    return this.facts.key ?? this.draft.options.key
  }

  get valueSerde(): AnySerde {
    return this.facts.value ?? this.draft.options.value
  }

  with(changed: Partial<StreamFacts>): StreamDraft {
    return new StreamDraft(this.draft, { ...this.facts, ...changed })
  }

  /** Adds one node below. */
  operate(
    name: string,
    body: OperatorBody,
    {
      stores = [],
      parents = [this.facts.node],
      ...changed
    }: Partial<StreamFacts> & { stores?: readonly string[]; parents?: readonly string[] } = {},
  ): StreamDraft {
    this.draft.add({
      name,
      above: parents,
      build: () => ({ ...body, name, parents, stores }),
    })
    return this.with({ node: name, name, ...changed })
  }

  #named(prefix: Prefix, given: string | undefined): string {
    return this.draft.names.node(prefix, given)
  }

  filter(predicate: Predicate, keep: boolean, node?: string): StreamDraft {
    return this.operate(this.#named(PREFIX.filter, node), { kind: 'filter', predicate, keep })
  }

  map(mapper: PairMapper, node?: string): StreamDraft {
    const name = this.#named(PREFIX.map, node)
    return this.operate(name, { kind: 'map', mapper }, { ...UNKNOWN, rekeyed: true })
  }

  mapValues(mapper: ValueMapper, node?: string): StreamDraft {
    const name = this.#named(PREFIX.mapValues, node)
    return this.operate(name, { kind: 'map-values', mapper }, { value: undefined })
  }

  flatMap(
    mapper: (value: unknown, key: unknown) => Iterable<readonly [unknown, unknown]>,
    node?: string,
  ): StreamDraft {
    const name = this.#named(PREFIX.flatMap, node)
    return this.operate(name, { kind: 'flat-map', mapper }, { ...UNKNOWN, rekeyed: true })
  }

  flatMapValues(
    mapper: (value: unknown, key: unknown) => Iterable<unknown>,
    node?: string,
  ): StreamDraft {
    const name = this.#named(PREFIX.flatMapValues, node)
    return this.operate(name, { kind: 'flat-map-values', mapper }, { value: undefined })
  }

  selectKey(mapper: ValueMapper, node?: string): StreamDraft {
    const name = this.#named(PREFIX.selectKey, node)
    return this.operate(name, { kind: 'select-key', mapper }, { key: undefined, rekeyed: true })
  }

  peek(action: (value: unknown, key: unknown) => void, ends: boolean, node?: string): StreamDraft {
    const name = this.#named(ends ? PREFIX.forEach : PREFIX.peek, node)
    return this.operate(name, { kind: 'peek', action, ends })
  }

  merge(other: StreamDraft, node?: string): StreamDraft {
    this.refuseForeign(other.draft)
    const rekeyed = this.facts.rekeyed || other.facts.rekeyed
    if (!rekeyed) this.#refuseOtherKeys(other)
    const name = this.#named(PREFIX.merge, node)
    // A node is attached to a parent once, also where a stream is merged with itself.
    const parents = [...new Set([this.facts.node, other.facts.node])]
    return this.operate(
      name,
      { kind: 'pass' },
      {
        ...UNKNOWN,
        parents,
        sources: [...new Set([...this.facts.sources, ...other.facts.sources])],
        rekeyed,
        ...(sameSerde(this.facts.key, other.facts.key) && { key: this.facts.key }),
        ...(sameSerde(this.facts.value, other.facts.value) && { value: this.facts.value }),
      },
    )
  }

  /** A node per predicate, in their order, then the default's: `<splitter><suffix or number>`. */
  branch(
    predicates: readonly { readonly predicate: Predicate; readonly suffix?: string | undefined }[],
    defaults?: { readonly suffix?: string | undefined },
    node?: string,
  ): { readonly branches: readonly StreamDraft[]; readonly rest: StreamDraft | undefined } {
    const splitter = this.#named(PREFIX.branch, node)
    const split = this.operate(splitter, {
      kind: 'branch',
      predicates: predicates.map(({ predicate }) => predicate),
      hasDefault: defaults !== undefined,
    })
    const branch = (suffix: string): StreamDraft => {
      this.draft.names.draw(PREFIX.branch)
      return split.operate(splitter + suffix, { kind: 'pass' })
    }
    const branches = predicates.map(({ suffix }, index) => branch(suffix ?? String(index + 1)))
    const rest = defaults === undefined ? undefined : branch(defaults.suffix ?? '0')
    return { branches, rest }
  }

  /** `base`: what the topic is named after; undefined generates a name. */
  repartition(base: string | undefined, settings: RepartitionSettings): StreamDraft {
    const name = base ?? this.draft.names.draw(PREFIX.repartition)
    const { keySerde: key, valueSerde: value, draft, facts } = this
    const source = addRepartition(draft, facts.node, name, { key, value }, settings)
    return this.with({ node: source, name: source, sources: [source], rekeyed: false, key, value })
  }

  to(
    topic: SinkNode['topic'],
    key: AnySerde,
    value: AnySerde,
    { node, topics }: { node?: string | undefined; topics?: readonly string[] } = {},
  ): void {
    const name = this.#named(PREFIX.sink, node)
    const parents = [this.facts.node]
    const build = (): SinkNode => ({
      kind: 'sink',
      name,
      parents,
      stores: [],
      topic,
      ...(topics && { topics }),
      key,
      value,
      partitionKey: key instanceof WindowedSerde ? innerKeyOf(key) : undefined,
      internal: false,
      sendsTime: false,
    })
    this.draft.add({ name, above: parents, build })
  }

  toTable(settings: {
    readonly node?: string | undefined
    readonly store?: string | undefined
    readonly settings?: CachedSettings | undefined
    readonly key?: AnySerde | undefined
    readonly value?: AnySerde | undefined
    readonly emit?: 'each-update' | 'per-commit' | undefined
  }): TableDraft {
    const { draft } = this
    const name = this.#named(PREFIX.toTable, settings.node)
    const storeName = draft.names.store(PREFIX.toTable, settings.store)
    const typed = this.with({
      key: settings.key ?? this.facts.key,
      value: settings.value ?? this.facts.value,
    })
    const stream = typed.facts.rekeyed ? typed.repartition(name, {}) : typed
    const { keySerde: key, valueSerde: value } = stream
    const kept = settings.settings ?? {}
    const spec = tableStore(draft, storeName, { key, value }, kept)
    const parents = [stream.facts.node]
    const table = new TableDraft(draft, {
      name,
      sources: stream.facts.sources,
      key,
      value,
      store: spec.name,
      isKept: settings.store !== undefined,
      emit: settings.emit === 'per-commit' ? settings.emit : emitOf(draft, kept),
    })
    draft.addStore(spec, table, () => table.isKept)
    draft.reachStore(spec.name, stream.facts.sources)
    draft.add({
      name,
      above: parents,
      build: () => ({ kind: 'to-table', name, parents, ...table.kept() }),
    })
    return table
  }

  process(
    prefix: typeof PREFIX.process | typeof PREFIX.processValues,
    given: string | undefined,
    supplier: () => UserProcessor,
    stores: readonly string[],
  ): StreamDraft {
    // Unlike other nodes, a named processor does not use up a number.
    const name = given === undefined ? this.draft.names.draw(prefix) : given
    for (const store of stores) this.draft.reachStore(store, this.facts.sources)
    const keepsKey = prefix === PREFIX.processValues
    const changed = keepsKey ? { value: undefined } : { ...UNKNOWN, rekeyed: true }
    return this.operate(name, { kind: 'process', supplier, keepsKey }, { stores, ...changed })
  }

  dedupe(
    store: string,
    { by, withinMs, ...settings }: { by: ValueMapper; withinMs: number } & StoreSettings,
  ): StreamDraft {
    const spec = dedupeStore(this.draft, store, withinMs, settings)
    const name = this.#named(PREFIX.dedupe, undefined)
    this.draft.addStore(spec, {})
    return this.operate(name, { kind: 'dedupe', store, by, withinMs }, { stores: [store] })
  }

  joinTable(
    table: TableDraft,
    {
      joiner,
      left,
      node,
    }: {
      readonly joiner: (left: unknown, right: unknown, key: unknown) => unknown
      readonly left: boolean
      readonly node?: string | undefined
    },
  ): StreamDraft {
    this.refuseForeign(table.draft)
    const { rekeyed, name: upstream } = this.facts
    const stream = rekeyed ? this.repartition(node ?? upstream, {}) : this
    const name = stream.#named(left ? PREFIX.leftJoin : PREFIX.join, node)
    this.draft.coPartition([...stream.facts.sources, ...table.facts.sources])
    return stream.operate(
      name,
      { kind: 'stream-table-join', table: table.facts.name, joiner, left },
      { stores: table.read(), value: undefined },
    )
  }

  /** Keys that are written in two ways are in two partitions where they are equal. Kafka Streams does not check this. */
  #refuseOtherKeys(other: StreamDraft): void {
    const [one, another] = [this.keySerde.name, other.keySerde.name]
    if (one === another || this.draft.options.generatesNames) return
    const message = `keys of both sides must have the same serde, and are ${one} and ${another}`
    throw new TopologyError('OPTION_INVALID', message)
  }

  refuseForeign(other: Draft): void {
    if (other === this.draft) return
    throw new TopologyError('OPTION_INVALID', 'both sides must come from the same StreamsBuilder')
  }
}

/** A table's changes as a stream. */
export function streamOf({ draft, facts }: TableDraft, node?: string): StreamDraft {
  const { name: table, sources, key, value } = facts
  const name = draft.names.node(PREFIX.toStream, node)
  const changes = { node: table, name: table, sources, rekeyed: false, key, value }
  return new StreamDraft(draft, changes).operate(name, { kind: 'to-stream' })
}

const UNKNOWN: Pick<StreamFacts, 'key' | 'value'> = { key: undefined, value: undefined }

/** Serdes of one name write the same bytes. */
function sameSerde(one: AnySerde | undefined, other: AnySerde | undefined): boolean {
  return one !== undefined && one.name === other?.name
}

/** A windowed key goes where its inner key goes. */
function innerKeyOf(serde: WindowedSerde<unknown>): (key: unknown) => Uint8Array {
  return (key) => serde.inner.encode((key as { key: unknown }).key)
}
