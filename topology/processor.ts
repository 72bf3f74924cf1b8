/**
 * A node's running code, and what it may do while it runs.
 *
 * Invariant: a processor runs to its end without suspending, depth first through its children, in the order attached.
 *
 * Inside, calls are positional (three times as fast as record objects); a `StreamRecord` exists only where users write
 * processors by hand.
 */
import type { RecordHeaders } from '#log'
import type { Serde } from './serde.ts'

/** Running code of one node. `oldValue` is what a table held before; streams leave it out. `null` means absent. */
export interface Processor {
  readonly name: string
  process(key: unknown, value: unknown, timestampMs: number, oldValue?: unknown): void
  /** Once, when everything is wired: parents before children. */
  init?(): void
  /** Closes what needs closing; commit has happened or never will. */
  close?(): void
}

/** Reads a table's present value for a join or a getter further up: a stored value, or one computed from it. */
export interface ValueGetter {
  get(key: unknown): { readonly value: unknown; readonly timestampMs: number } | undefined
}

/** The record as user-written processors see it: immutable; `with…` make a changed copy. */
export interface StreamRecord<K, V> {
  readonly key: K
  readonly value: V
  readonly timestampMs: number
  readonly headers: RecordHeaders
}

/** Where the record in hand came from (R1, R4): in a punctuator topic is null, partition and offset −1. */
export interface RecordMetadata {
  readonly topic: string | null
  readonly partition: number
  readonly offset: number
}

export type PunctuationType = 'stream-time' | 'wall-clock'

export interface Cancellable {
  cancel(): void
}

export interface ProcessorContext<K, V> {
  readonly applicationId: string
  readonly taskId: string
  /** The task's stream time; −1 before the first record. */
  readonly streamTimeMs: number
  /** The wall clock, as handed in. It is not part of what a replay repeats outside of punctuators. */
  readonly wallClockMs: number
  readonly metadata: RecordMetadata
  forward(record: StreamRecord<K, V>, to?: string): void
  /** Rules P1–P4 of the semantics: fires at most once a check, argument is the time now, on the grid of the first. */
  schedule(everyMs: number, type: PunctuationType, punctuate: (nowMs: number) => void): Cancellable
  /** A store named in the operator's call. */
  store(name: string): unknown
  /** Asks for a commit soon. */
  commit(): void
}

/** A key-value store as user-written processors see it. */
export interface KeyValueStore<K, V> {
  get(key: K): V | undefined
  /** The value with the time it was put with; 0 in a plain store, which keeps none. */
  getTimed(key: K): { readonly value: V; readonly timestampMs: number } | undefined
  put(key: K, value: V | null): void
  delete(key: K): V | undefined
}

/** With `ordered: true`: ranges by the order of the encoded keys, both bounds included. */
export interface OrderedKeyValueStore<K, V> extends KeyValueStore<K, V> {
  range(range?: { from?: K; to?: K; reverse?: boolean }): Iterable<readonly [key: K, value: V]>
}

/** A windowed table's store as user-written processors see it: they read it, its aggregation writes it. */
export interface ReadableWindowStore<K, V> {
  get(key: K, windowStartMs: number): V | undefined
  /** Windows of one key with `fromMs ≤ start ≤ toMs`, by start. */
  fetch(
    key: K,
    fromMs: number,
    toMs: number,
  ): Iterable<{
    readonly windowStartMs: number
    readonly value: V
    readonly timestampMs: number
  }>
}

/** A class processor: `init` once, `process` per record, `close` at the end. */
export interface ProcessorInstance<KIn, VIn, KOut, VOut> {
  init?(context: ProcessorContext<KOut, VOut>): void
  process(record: StreamRecord<KIn, VIn>): void
  close?(): void
}

/**
 * What the supplier of a `process` node returns: a class processor, or one of the two function forms below.
 * The functions are called positionally, so that the short way of writing a processor is also the fast one.
 */
export type UserProcessor =
  ProcessorInstance<unknown, unknown, unknown, unknown> | ValueProcessor | PairProcessor

/** `processValues` with a function: what it returns goes on under the same key, `undefined` drops the record. */
export interface ValueProcessor {
  init?(context: ProcessorContext<unknown, unknown>): void
  processValue(value: unknown, key: unknown): unknown
  close?(): void
}

/** `process` with a generator: each pair is forwarded before the next is asked for. */
export interface PairProcessor {
  init?(context: ProcessorContext<unknown, unknown>): void
  processPairs(value: unknown, key: unknown): Iterable<readonly [key: unknown, value: unknown]>
  close?(): void
}

/** What a sink writes with; one per task, it encodes straight into the batch of a partition. */
export interface RecordCollector {
  /**
   * Adds a record for `topic` (its name in the topology). `partition` undefined: by the key's bytes as Kafka's partitioner
   * does, or by those of `partitionKey`, which is only asked where there is a choice; null keys go to the task's own
   * partition modulo the topic's count, so that a replay gives the same.
   */
  collect<K, V>(
    topic: string,
    partition: number | undefined,
    key: K | null,
    keySerde: Serde<K>,
    value: V | null,
    valueSerde: Serde<V>,
    timestampMs: number,
    headers: RecordHeaders,
    partitionKey: ((key: K) => Uint8Array) | undefined,
  ): void
  /**
   * R12: tells every partition of a repartition topic that `node` will send nothing more for windows that end at or before
   * `timeMs`; `idle` leaves this pair of task and node out of the minimum until it speaks again.
   */
  announceTime(topic: string, node: string, timeMs: number, idle: boolean): void
}
