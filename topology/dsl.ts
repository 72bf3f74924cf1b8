/**
 * The language a topology is written in, as the compiler sees it. Whatever owns a store or a topic takes its name first, so that
 * adding a filter can never orphan state.
 *
 * Invariant: nobody writes a type argument; what an operator cannot do is not there to be called.
 *
 * Callbacks take `(value, key)`: the key is rarely needed.
 */
import type { KeyOption, Options, ValueOption } from './json-type.ts'
import type { TimeWindowsSpec } from './node.ts'
import type { HeaderText, ProcessorClass } from './process-body.ts'
import type { StoreSettings } from './store-specs.ts'
import type { WritableTopic } from './topic.ts'
import type { OpenStores, StoreHandles } from './typed-store.ts'
import type { Windowed } from './windowed.ts'

export interface RepartitionOptions {
  /** As many as the inputs have, unless asked for. */
  readonly partitions?: number
  /**
   * `slowest-upstream`: time below is the least that any task above may still send, not the highest seen, so that a window
   * waits for the partition that is behind (R12). Needs `emit: 'on-close'` above.
   */
  readonly time?: 'records' | 'slowest-upstream'
}

export interface DedupeOptions<K, V> extends StoreSettings {
  /** What two records have in common if one repeats the other. */
  readonly by: (value: V, key: K) => string
  /** How long an id is remembered, in stream time since it was accepted. */
  readonly withinMs: number
}

export interface SinkOptions<K, V> {
  /** Added to the headers that a record has. */
  readonly headers?: (value: V, key: K) => readonly HeaderText[]
}

/**
 * When a table's changes are forwarded: at each update, or `per-commit`, at most one a key and commit, from the value before
 * it to the last one in it. Then what comes out depends on when commits were, which the journal says; a replay reads it.
 */
export interface EmitOption {
  readonly emit?: 'each-update' | 'per-commit'
}

/** A windowed result can also be forwarded once, when its window can no longer change. */
export interface WindowEmitOption {
  readonly emit?: 'each-update' | 'per-commit' | 'on-close'
}

export type SuppressOptions =
  | {
      readonly until: 'window-closes'
      /** More than this stops the application: a final result may not be sent early. */
      readonly recordsMax?: number
      readonly bytesMax?: number
    }
  | {
      readonly until: 'time-limit'
      readonly durationMs: number
      readonly recordsMax?: number
      readonly bytesMax?: number
      readonly whenFull?: 'emit-early' | 'shut-down'
    }

type Guard<V, K, W extends V> = (value: V, key: K) => value is W
type Predicate<V, K> = (value: V, key: K) => boolean
/** Null is how a record says that its key has no value any more: every topic takes it. */
type Sink<K, V> = WritableTopic<Exclude<K, null>, Exclude<V, null>>
/** What a branch's predicate leaves of V. */
type Narrowed<P, V> = P extends ((value: V, key: never) => value is infer W extends V) ? W : V

/** A stream whose key may have changed since it chose the partition: `repartition` it before anything that keeps state. */
export interface Rekeyed<in out K, in out V> {
  filter<W extends V>(predicate: Guard<V, K, W>): Rekeyed<K, W>
  filter(predicate: Predicate<V, K>): Rekeyed<K, V>
  filterNot<W extends V>(predicate: Guard<V, K, W>): Rekeyed<K, Exclude<V, W>>
  filterNot(predicate: Predicate<V, K>): Rekeyed<K, V>
  map<K2, V2>(mapper: (value: V, key: K) => readonly [key: K2, value: V2]): Rekeyed<K2, V2>
  mapValues<W>(mapper: (value: V, key: K) => W): Rekeyed<K, W>
  flatMap<K2, V2>(
    mapper: (value: V, key: K) => Iterable<readonly [key: K2, value: V2]>,
  ): Rekeyed<K2, V2>
  flatMapValues<W>(mapper: (value: V, key: K) => Iterable<W>): Rekeyed<K, W>
  selectKey<K2>(mapper: (value: V, key: K) => K2): Rekeyed<K2, V>
  /** Looks at each record; what it does is not undone when a record fails or is read again. */
  peek(action: (value: V, key: K) => void): Rekeyed<K, V>
  forEach(action: (value: V, key: K) => void): void
  merge<W>(other: Rekeyed<K, W>): Rekeyed<K, V | W>
  /** Each record goes to the branch whose predicate is first true; to none if none is. */
  branch<B extends Readonly<Record<string, Predicate<V, K>>>>(
    branches: B,
  ): { readonly [Name in keyof B]: Rekeyed<K, Narrowed<B[Name], V>> }
  /** Through a topic, so that equal keys meet again. A key that is no string brings its serde: `{ key: … }`. */
  repartition(
    name: string,
    ...options: Options<RepartitionOptions & KeyOption<K> & ValueOption<V>>
  ): KStream<K, V>
  to(topic: Sink<K, V>, options?: SinkOptions<K, V>): void
  /** To the topic that `choose` picks for each record, one of those listed. */
  to<T extends Sink<K, V>>(choose: (value: V, key: K) => T, topics: readonly T[]): void
}

/** Records as facts, each in the partition of its key. */
export interface KStream<in out K, in out V> extends Rekeyed<K, V> {
  filter<W extends V>(predicate: Guard<V, K, W>): KStream<K, W>
  filter(predicate: Predicate<V, K>): KStream<K, V>
  filterNot<W extends V>(predicate: Guard<V, K, W>): KStream<K, Exclude<V, W>>
  filterNot(predicate: Predicate<V, K>): KStream<K, V>
  mapValues<W>(mapper: (value: V, key: K) => W): KStream<K, W>
  flatMapValues<W>(mapper: (value: V, key: K) => Iterable<W>): KStream<K, W>
  peek(action: (value: V, key: K) => void): KStream<K, V>
  merge<W>(other: KStream<K, W>): KStream<K, V | W>
  merge<W>(other: Rekeyed<K, W>): Rekeyed<K, V | W>
  branch<B extends Readonly<Record<string, Predicate<V, K>>>>(
    branches: B,
  ): { readonly [Name in keyof B]: KStream<K, Narrowed<B[Name], V>> }

  /** Drops a record whose id was seen within `withinMs`; its store is called `name`. */
  dedupe(name: string, options: DedupeOptions<K, V>): KStream<K, V>

  /**
   * Keeps the key; what the function returns goes on, `undefined` drops the record. `stores` are open in the function under
   * the same names. A class is made once a task, with its stores; it can also schedule, and set times and headers.
   */
  processValues<S extends StoreHandles, W>(
    name: string,
    stores: S,
    body: (value: V, stores: OpenStores<S>, key: K) => W,
  ): KStream<K, Exclude<W, undefined>>
  processValues<S extends StoreHandles, W>(
    name: string,
    stores: S,
    processor: ProcessorClass<S, K, V, K, W>,
  ): KStream<K, W>
  /** May change the key: forwards each `[key, value]` that the generator yields. */
  // The function comes first: after a class the compiler would no longer infer the function's parameters.
  process<S extends StoreHandles, P extends readonly [key: unknown, value: unknown]>(
    name: string,
    stores: S,
    body: (value: V, stores: OpenStores<S>, key: K) => Iterable<P>,
  ): Rekeyed<P[0], P[1]>
  process<S extends StoreHandles, K2, V2>(
    name: string,
    stores: S,
    processor: ProcessorClass<S, K, V, K2, V2>,
  ): Rekeyed<K2, V2>

  groupByKey(): KGroupedStream<K, V>
  /** By another key, through a repartition topic called `name`. */
  groupBy<K2>(
    name: string,
    mapper: (value: V, key: K) => K2,
    ...options: Options<RepartitionOptions & KeyOption<K2> & ValueOption<V>>
  ): KGroupedStream<K2, V>

  /** Reads the stream as the changes of a table: the latest value of each key, null deletes it. */
  toTable(
    name: string,
    ...options: Options<StoreSettings & EmitOption & ValueOption<Exclude<V, null>>>
  ): StoredKTable<K, Exclude<V, null>>

  /** Looks the table up as it is when the stream's record is processed; no match, no result. */
  join<T, W>(table: JoinableTable<K, T>, joiner: (value: V, found: T, key: K) => W): KStream<K, W>
  /** The same; without a match `found` is null. */
  leftJoin<T, W>(
    table: JoinableTable<K, T>,
    joiner: (value: V, found: T | null, key: K) => W,
  ): KStream<K, W>
}

/** Records that have been put together by key. A store of values that JSON would not give back needs `{ value: … }`. */
export interface KGroupedStream<in out K, in out V> {
  count(name: string, options?: StoreSettings & EmitOption): StoredKTable<K, number, never>
  reduce(
    name: string,
    add: (aggregate: V, value: V, key: K) => V,
    ...options: Options<StoreSettings & EmitOption & ValueOption<V>>
  ): StoredKTable<K, V, never>
  aggregate<A>(
    name: string,
    initial: () => A,
    add: (aggregate: A, value: V, key: K) => A,
    ...options: Options<StoreSettings & EmitOption & ValueOption<A>>
  ): StoredKTable<K, A, never>
  windowedBy(windows: TimeWindowsSpec): TimeWindowedKStream<K, V>
}

export interface TimeWindowedKStream<in out K, in out V> {
  count(
    name: string,
    options?: StoreSettings & WindowEmitOption,
  ): StoredKTable<Windowed<K>, number, never>
  reduce(
    name: string,
    add: (aggregate: V, value: V, key: K) => V,
    ...options: Options<StoreSettings & WindowEmitOption & ValueOption<V>>
  ): StoredKTable<Windowed<K>, V, never>
  aggregate<A>(
    name: string,
    initial: () => A,
    add: (aggregate: A, value: V, key: K) => A,
    ...options: Options<StoreSettings & WindowEmitOption & ValueOption<A>>
  ): StoredKTable<Windowed<K>, A, never>
}

/** Any table, as a join sees it. Only the compiler finds its types here; at run time there is nothing. */
export interface JoinableTable<out K, out V> {
  readonly '~table'?: { readonly key: K; readonly value: V }
}

/**
 * The latest value of each key. `Deleted` is null where a key may lose its value, which its stream then tells by a null, and
 * never where it may not.
 */
export interface KTable<
  in out K,
  in out V,
  in out Deleted extends null = null,
> extends JoinableTable<K, V> {
  /** A value that does not pass is a deletion. With a name first the result is stored under it. */
  filter<W extends V>(predicate: Guard<V, K, W>): KTable<K, W>
  filter(predicate: Predicate<V, K>): KTable<K, V>
  filter(
    name: string,
    predicate: Predicate<V, K>,
    ...options: Options<StoreSettings & ValueOption<V>>
  ): StoredKTable<K, V>
  filterNot<W extends V>(predicate: Guard<V, K, W>): KTable<K, Exclude<V, W>>
  filterNot(predicate: Predicate<V, K>): KTable<K, V>
  filterNot(
    name: string,
    predicate: Predicate<V, K>,
    ...options: Options<StoreSettings & ValueOption<V>>
  ): StoredKTable<K, V>
  mapValues<W>(mapper: (value: V, key: K) => W): KTable<K, W, Deleted>
  mapValues<W>(
    name: string,
    mapper: (value: V, key: K) => W,
    ...options: Options<StoreSettings & ValueOption<W>>
  ): StoredKTable<K, W, Deleted>
  toStream(): KStream<K, V | Deleted>
  /** Holds results back, in a store called `name`: until the window is final, or for a while. */
  suppress(
    name: string,
    options: SuppressOptions & ValueOption<V> & { readonly until: 'window-closes' },
  ): KTable<K, V, never>
  suppress(name: string, options: SuppressOptions & ValueOption<V>): KTable<K, V, Deleted>
}

/** A table with a store: the typed handle for queries. */
export interface StoredKTable<
  in out K,
  in out V,
  in out Deleted extends null = null,
> extends KTable<K, V, Deleted> {
  /** Of its store. */
  readonly name: string
  /** Never there at run time: lets the compiler find K and V. */
  readonly '~types'?: { readonly key: K; readonly value: V }
}
