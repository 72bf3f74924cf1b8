/**
 * A grouped stream in the making: count, reduce and aggregate, with or without windows.
 *
 * Invariant: an aggregate's records have their key's own partition; where the key has changed, a repartition topic comes first.
 */
import { PREFIX } from './names.ts'
import type { Adder, AnySerde, StoreSpec, TimeWindowsSpec } from './node.ts'
import { type CachedSettings, emitOf, tableStore, windowStore } from './store-specs.ts'
import type { StreamDraft } from './stream-draft.ts'
import { TableDraft } from './table-draft.ts'
import { TopologyError } from './topology.ts'
import { WindowedSerde } from './windowed-serde.ts'

export interface AggregateSettings {
  readonly node?: string | undefined
  readonly store?: string | undefined
  /** Kafka Streams' count draws a number too many when its `Materialized` has no name. */
  readonly burnsStoreName?: boolean | undefined
  readonly key?: AnySerde | undefined
  readonly value: AnySerde
  readonly windows?: TimeWindowsSpec | undefined
  readonly emit?: 'each-update' | 'per-commit' | 'on-close' | undefined
  readonly settings?: CachedSettings | undefined
}

function perCommit(emit: AggregateSettings['emit']): 'per-commit' | undefined {
  return emit === 'per-commit' ? emit : undefined
}

export class GroupedDraft {
  readonly stream: StreamDraft
  /** What a repartition topic is named after, if not after the store. */
  readonly #name: string | undefined
  #repartitioned: StreamDraft | undefined

  constructor(stream: StreamDraft, name: string | undefined) {
    this.stream = stream
    this.#name = name
  }

  aggregate(
    prefix: typeof PREFIX.aggregate | typeof PREFIX.reduce,
    adder: Adder,
    { node, store, burnsStoreName, key, value, windows, emit, settings = {} }: AggregateSettings,
  ): TableDraft {
    const { draft } = this.stream
    if (burnsStoreName) draft.names.store(prefix, undefined)
    const storeName = draft.names.store(prefix, store)
    const name = draft.names.node(prefix, node)
    const onClose = emit === 'on-close'
    const held = emit === undefined ? emitOf(draft, settings) : perCommit(emit)
    const typed = { key: key ?? this.stream.keySerde, value }
    const spec: StoreSpec =
      windows === undefined
        ? tableStore(draft, storeName, typed, settings)
        : windowStore(draft, storeName, typed, windows, onClose, settings)
    const stream = this.#coPartitioned(storeName)
    const table = new TableDraft(draft, {
      name,
      sources: stream.facts.sources,
      key: windows === undefined ? typed.key : new WindowedSerde(typed.key, windows.sizeMs),
      value,
      store: storeName,
      isKept: true,
      emit: held,
    })
    draft.addStore(spec, table)
    draft.reachStore(storeName, stream.facts.sources)
    const parents = [stream.facts.node]
    draft.add({
      name,
      above: parents,
      ...(windows && { windowGraceMs: windows.graceMs }),
      build: () => {
        const common = { name, parents, adder, ...table.kept(), store: storeName }
        if (windows === undefined) return { kind: 'aggregate', ...common }
        const windowEmit = onClose ? emit : (held ?? 'each-update')
        return { kind: 'window-aggregate', ...common, windows, emit: windowEmit }
      },
    })
    return table
  }

  /** A grouping that has a name shares its repartition topic between the aggregates made from it. */
  #coPartitioned(store: string): StreamDraft {
    const { stream } = this
    const { draft, facts } = stream
    if (!facts.rekeyed) return stream
    if (!draft.options.generatesNames) {
      throw new TopologyError('NAME_REQUIRED', `repartition('name') before grouping ${facts.name}`)
    }
    if (this.#name === undefined) return stream.repartition(store, {})
    if (this.#repartitioned === undefined) {
      this.#repartitioned = stream.repartition(this.#name, {})
    } else {
      for (const prefix of [PREFIX.sink, PREFIX.filter, PREFIX.source]) draft.names.draw(prefix)
    }
    return this.#repartitioned
  }
}
