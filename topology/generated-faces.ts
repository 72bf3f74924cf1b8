/**
 * Streams, groups and tables that draw their names: the implementation of `generated-dsl.ts`.
 *
 * Invariant: numbers are drawn in the order in which Kafka Streams draws them (semantics 1.3 to 1.5).
 */
import { count, reduce } from './adders.ts'
import type { SuppressOptions, WindowEmitOption } from './dsl.ts'
import type { Faces } from './faces.ts'
import { GroupedDraft } from './grouped-draft.ts'
import { PREFIX } from './names.ts'
import type { Adder, AnySerde, Predicate, TimeWindowsSpec, ValueMapper } from './node.ts'
import { long } from './primitive-serdes.ts'
import { useStore } from './process-stores.ts'
import type { UserProcessor } from './processor.ts'
import type { RepartitionSettings } from './repartition-draft.ts'
import type { Serde } from './serde.ts'
import type { CachedSettings, StoreSettings } from './store-specs.ts'
import { type StreamDraft, streamOf } from './stream-draft.ts'
import { type NodeOption, StreamFace } from './stream-face.ts'
import type { DerivedSettings } from './table-draft.ts'
import { TableFace } from './table-face.ts'
import type { StoreDeclaration } from './typed-store.ts'

type Joiner = (left: unknown, right: unknown, key: unknown) => unknown
interface Typed {
  readonly key?: AnySerde
  readonly value?: AnySerde
}
interface MaterializedOption extends NodeOption {
  readonly materialized?: CachedSettings & Typed & { readonly name?: string }
  readonly store?: string
}
interface ProcessOption extends NodeOption {
  readonly stores?: readonly (string | StoreDeclaration<unknown, unknown>)[]
}

/** What drafts call the same. `burnsStoreName`: a `Materialized` without a name. */
export function settingsOf({
  node,
  store,
  materialized,
}: MaterializedOption): DerivedSettings & Typed {
  const { name = store, key, value, ...settings } = materialized ?? {}
  const burnsStoreName = materialized !== undefined && name === undefined
  return {
    node,
    store: name,
    burnsStoreName,
    settings,
    ...(key && { key }),
    ...(value && { value }),
  }
}

export class GeneratedStream extends StreamFace {
  branch(
    branches: readonly { readonly predicate: Predicate; readonly suffix?: string }[],
    options: NodeOption & { readonly default?: { readonly suffix?: string } } = {},
  ): { readonly branches: readonly object[]; readonly rest: object | undefined } {
    const split = this.draft.branch(branches, options.default, options.node)
    return {
      branches: split.branches.map((branch) => this.faces.stream(branch)),
      rest: split.rest && this.faces.stream(split.rest),
    }
  }

  repartition(options: RepartitionSettings & Typed & { readonly name?: string } = {}): object {
    const { name, key, value, ...settings } = options
    return this.faces.stream(this.#typed({ key, value }).repartition(name, settings))
  }

  process(supplier: () => UserProcessor, options: ProcessOption = {}): object {
    return this.#process(PREFIX.process, supplier, options)
  }

  processValues(supplier: () => UserProcessor, options: ProcessOption = {}): object {
    return this.#process(PREFIX.processValues, supplier, options)
  }

  #process(
    prefix: typeof PREFIX.process | typeof PREFIX.processValues,
    supplier: () => UserProcessor,
    { node, stores = [] }: ProcessOption,
  ): object {
    const { draft } = this.draft
    const names = stores.map((store) => useStore(draft, store))
    return this.faces.stream(this.draft.process(prefix, node, supplier, names))
  }

  groupByKey({ grouped, key, value }: Typed & { readonly grouped?: string } = {}): object {
    return this.faces.grouped(new GroupedDraft(this.#typed({ key, value }), grouped))
  }

  groupBy(
    mapper: ValueMapper,
    { grouped, key, value }: Typed & { readonly grouped?: string } = {},
  ): object {
    const rekeyed = this.draft.selectKey(mapper, grouped)
    const typed = rekeyed.with({ key, value: value ?? rekeyed.facts.value })
    return this.faces.grouped(new GroupedDraft(typed, grouped))
  }

  toTable(options: MaterializedOption = {}): object {
    return this.faces.table(this.draft.toTable(settingsOf(options)))
  }

  join(table: TableFace, joiner: Joiner, { node, ...typed }: NodeOption & Typed = {}): object {
    return this.#join(table, joiner, false, node, typed)
  }

  leftJoin(table: TableFace, joiner: Joiner, { node, ...typed }: NodeOption & Typed = {}): object {
    return this.#join(table, joiner, true, node, typed)
  }

  #join(
    table: TableFace,
    joiner: Joiner,
    left: boolean,
    node: string | undefined,
    typed: Typed,
  ): object {
    const draft = this.#typed(typed)
    return this.faces.stream(draft.joinTable(table.draft, { joiner, left, node }))
  }

  #typed({
    key,
    value,
  }: {
    key?: AnySerde | undefined
    value?: AnySerde | undefined
  }): StreamDraft {
    const draft = this.draft
    return draft.with({ key: key ?? draft.facts.key, value: value ?? draft.facts.value })
  }
}

export class GeneratedGrouped {
  readonly #draft: GroupedDraft
  readonly #faces: Faces
  readonly #windows: TimeWindowsSpec | undefined

  constructor(draft: GroupedDraft, faces: Faces, windows: TimeWindowsSpec | undefined) {
    this.#draft = draft
    this.#faces = faces
    this.#windows = windows
  }

  windowedBy(windows: TimeWindowsSpec): object {
    return this.#faces.grouped(this.#draft, windows)
  }

  count(options: MaterializedOption & WindowEmitOption = {}): object {
    return this.#table(PREFIX.aggregate, count, options, long() as Serde<unknown>, true)
  }

  reduce(add: Adder['add'], options: MaterializedOption & WindowEmitOption = {}): object {
    return this.#table(PREFIX.reduce, reduce(add), options, this.#draft.stream.valueSerde, false)
  }

  aggregate(
    initial: () => unknown,
    add: Adder['add'],
    options: MaterializedOption & WindowEmitOption = {},
  ): object {
    const { value } = this.#draft.stream.draft.options
    return this.#table(PREFIX.aggregate, { initial, add }, options, value, false)
  }

  #table(
    prefix: typeof PREFIX.aggregate | typeof PREFIX.reduce,
    adder: Adder,
    options: MaterializedOption & WindowEmitOption,
    value: AnySerde,
    isCount: boolean,
  ): object {
    const { burnsStoreName, ...settings } = settingsOf(options)
    return this.#faces.table(
      this.#draft.aggregate(prefix, adder, {
        value,
        ...settings,
        burnsStoreName: isCount && burnsStoreName,
        windows: this.#windows,
        emit: options.emit,
      }),
    )
  }
}

export class GeneratedTable extends TableFace {
  filter(predicate: Predicate, options: MaterializedOption = {}): object {
    return this.faces.table(this.draft.filter(predicate, true, settingsOf(options)))
  }

  filterNot(predicate: Predicate, options: MaterializedOption = {}): object {
    return this.faces.table(this.draft.filter(predicate, false, settingsOf(options)))
  }

  mapValues(mapper: ValueMapper, options: MaterializedOption = {}): object {
    return this.faces.table(this.draft.mapValues(mapper, settingsOf(options)))
  }

  toStream({ node, key }: NodeOption & { readonly key?: ValueMapper } = {}): object {
    const stream = streamOf(this.draft, node)
    return this.faces.stream(key === undefined ? stream : stream.selectKey(key))
  }

  suppress(options: SuppressOptions & NodeOption & StoreSettings): object {
    const { node, logged, backend, ...suppressed } = options
    const settings = { logged, ...(backend && { backend }) }
    return this.faces.table(this.draft.suppress(suppressed, { node, settings }))
  }
}
