/**
 * The language for taking over an application of Kafka Streams, as the compiler sees it: names are drawn from the counter, and
 * repartition topics inserted where the key may have changed.
 *
 * Invariant: each option stands for one Java call: `node` for `Named.as`, `grouped` for `Grouped.as`, `materialized` for a
 * `Materialized` (`{}`: one without a name, which still uses up a number), `store` for one with a name and nothing else.
 */
import type { SinkOptions, SuppressOptions, WindowEmitOption } from './dsl.ts'
import type { TimeWindowsSpec } from './node.ts'
import type { ProcessorInstance } from './processor.ts'
import type { Serde } from './serde.ts'
import type { SourceOptions } from './source-draft.ts'
import type { StoreSettings } from './store-specs.ts'
import type { NodeOption } from './stream-face.ts'
import type { ReadableTopic, WritableTopic } from './topic.ts'
import type { Topology } from './topology.ts'
import type { StoreDeclaration } from './typed-store.ts'
import type { Windowed } from './windowed.ts'

export interface Materialized<K, V> extends StoreSettings {
  readonly name?: string
  readonly key?: Serde<K>
  readonly value?: Serde<V>
  /** False: its changes are forwarded one by one, also where the builder says `caching`. */
  readonly caching?: boolean
}

export interface MaterializedOption<K, V> extends NodeOption {
  readonly materialized?: Materialized<K, V>
  /** Short for `materialized: { name }`. */
  readonly store?: string
}

export interface GroupedOption<K, V> {
  /** Names the repartition topic, if one is due, and the node that selects the key. */
  readonly grouped?: string
  readonly key?: Serde<K>
  readonly value?: Serde<V>
}

export interface JoinedOption<K, V> extends NodeOption {
  readonly key?: Serde<K>
  readonly value?: Serde<V>
}

export interface ProcessOption extends NodeOption {
  /** Names of stores that were added, or declared ones, which are added if they were not. */
  readonly stores?: readonly (string | StoreDeclaration<unknown, unknown>)[]
}

export interface GeneratedBranch<K, V> {
  readonly predicate: (value: V, key: K) => boolean
  /** Comes after the splitter's name; its number otherwise. */
  readonly suffix?: string
}

type Mapper<K, V, W> = (value: V, key: K) => W

export interface GeneratedKStream<in out K, in out V> {
  filter(predicate: Mapper<K, V, boolean>, options?: NodeOption): GeneratedKStream<K, V>
  filterNot(predicate: Mapper<K, V, boolean>, options?: NodeOption): GeneratedKStream<K, V>
  map<K2, V2>(
    mapper: Mapper<K, V, readonly [key: K2, value: V2]>,
    options?: NodeOption,
  ): GeneratedKStream<K2, V2>
  mapValues<W>(mapper: Mapper<K, V, W>, options?: NodeOption): GeneratedKStream<K, W>
  flatMap<K2, V2>(
    mapper: Mapper<K, V, Iterable<readonly [key: K2, value: V2]>>,
    options?: NodeOption,
  ): GeneratedKStream<K2, V2>
  flatMapValues<W>(mapper: Mapper<K, V, Iterable<W>>, options?: NodeOption): GeneratedKStream<K, W>
  selectKey<K2>(mapper: Mapper<K, V, K2>, options?: NodeOption): GeneratedKStream<K2, V>
  peek(action: Mapper<K, V, void>, options?: NodeOption): GeneratedKStream<K, V>
  forEach(action: Mapper<K, V, void>, options?: NodeOption): void
  merge<W>(other: GeneratedKStream<K, W>, options?: NodeOption): GeneratedKStream<K, V | W>
  /** `split(…).branch(…)…`: each record to the first branch that takes it, else to `rest`, if `default` asks for one. */
  branch(
    branches: readonly GeneratedBranch<K, V>[],
    options?: NodeOption & { readonly default?: { readonly suffix?: string } },
  ): {
    readonly branches: readonly GeneratedKStream<K, V>[]
    readonly rest: GeneratedKStream<K, V> | undefined
  }
  repartition(options?: {
    readonly name?: string
    readonly partitions?: number
    readonly key?: Serde<K>
    readonly value?: Serde<V>
  }): GeneratedKStream<K, V>
  to(
    topic: WritableTopic<Exclude<K, null>, Exclude<V, null>>,
    options?: NodeOption & SinkOptions<K, V>,
  ): void
  to<T extends WritableTopic<Exclude<K, null>, Exclude<V, null>>>(
    choose: Mapper<K, V, T>,
    options: NodeOption & { readonly topics: readonly T[] },
  ): void
  toTable(options?: MaterializedOption<K, V>): GeneratedKTable<K, V>
  groupByKey(options?: GroupedOption<K, V>): GeneratedKGroupedStream<K, V>
  groupBy<K2>(
    mapper: Mapper<K, V, K2>,
    options?: GroupedOption<K2, V>,
  ): GeneratedKGroupedStream<K2, V>
  join<T, W>(
    table: GeneratedKTable<K, T>,
    joiner: (value: V, found: T, key: K) => W,
    options?: JoinedOption<K, V>,
  ): GeneratedKStream<K, W>
  leftJoin<T, W>(
    table: GeneratedKTable<K, T>,
    joiner: (value: V, found: T | null, key: K) => W,
    options?: JoinedOption<K, V>,
  ): GeneratedKStream<K, W>
  process<K2, V2>(
    supplier: () => ProcessorInstance<K, V, K2, V2>,
    options?: ProcessOption,
  ): GeneratedKStream<K2, V2>
  processValues<W>(
    supplier: () => ProcessorInstance<K, V, K, W>,
    options?: ProcessOption,
  ): GeneratedKStream<K, W>
}

export interface GeneratedKGroupedStream<in out K, in out V> {
  count(options?: MaterializedOption<K, number>): GeneratedKTable<K, number>
  reduce(
    add: (aggregate: V, value: V, key: K) => V,
    options?: MaterializedOption<K, V>,
  ): GeneratedKTable<K, V>
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: V, key: K) => A,
    options?: MaterializedOption<K, A>,
  ): GeneratedKTable<K, A>
  windowedBy(windows: TimeWindowsSpec): GeneratedTimeWindowedKStream<K, V>
}

export interface GeneratedTimeWindowedKStream<in out K, in out V> {
  count(
    options?: MaterializedOption<K, number> & WindowEmitOption,
  ): GeneratedKTable<Windowed<K>, number>
  reduce(
    add: (aggregate: V, value: V, key: K) => V,
    options?: MaterializedOption<K, V> & WindowEmitOption,
  ): GeneratedKTable<Windowed<K>, V>
  aggregate<A>(
    initial: () => A,
    add: (aggregate: A, value: V, key: K) => A,
    options?: MaterializedOption<K, A> & WindowEmitOption,
  ): GeneratedKTable<Windowed<K>, A>
}

export interface GeneratedKTable<in out K, in out V> {
  /** Of its store; its node's where it has none of its own. */
  readonly name: string
  /** Never there at run time: lets the compiler find K and V. */
  readonly '~types'?: { readonly key: K; readonly value: V }
  filter(
    predicate: Mapper<K, V, boolean>,
    options?: MaterializedOption<K, V>,
  ): GeneratedKTable<K, V>
  filterNot(
    predicate: Mapper<K, V, boolean>,
    options?: MaterializedOption<K, V>,
  ): GeneratedKTable<K, V>
  mapValues<W>(mapper: Mapper<K, V, W>, options?: MaterializedOption<K, W>): GeneratedKTable<K, W>
  /** With `key`: the stream has other keys. */
  toStream(options?: NodeOption): GeneratedKStream<K, V>
  toStream<K2>(options: NodeOption & { readonly key: Mapper<K, V, K2> }): GeneratedKStream<K2, V>
  suppress(options: SuppressOptions & NodeOption & StoreSettings): GeneratedKTable<K, V>
}

export interface GeneratedStreamsBuilder {
  readonly applicationId: string
  stream<K, V>(
    topics: ReadableTopic<K, V> | readonly ReadableTopic<K, V>[],
    options?: SourceOptions<V> & NodeOption,
  ): GeneratedKStream<K, V>
  table<K, V>(
    topic: ReadableTopic<K, V>,
    options?: SourceOptions<V> & MaterializedOption<K, V>,
  ): GeneratedKTable<K, V>
  addStateStore(store: StoreDeclaration<unknown, unknown>): void
  build(): Topology
}
