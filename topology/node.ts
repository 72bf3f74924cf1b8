/**
 * What a topology is: frozen nodes and stores, told apart by `kind`. Nothing here runs.
 *
 * Invariant: a node names its parents and stores; children run in the order in which their edges were made.
 *
 * Types are erased to `unknown` here: the builder's faces (`KStream`, `KTable`, …) hold them, and the compiler has checked
 * every callback before it becomes a node.
 */
import type { UserProcessor } from './processor.ts'
import type { Serde } from './serde.ts'

export type AnySerde = Serde<unknown>

/** `(value, key)` throughout: the key is rarely needed. */
export type ValueMapper = (value: unknown, key: unknown) => unknown
export type Predicate = (value: unknown, key: unknown) => boolean
export type PairMapper = (value: unknown, key: unknown) => readonly [key: unknown, value: unknown]

/** A record's event time; negative drops the record (T3). `partitionTimeMs` is −1 at first. */
export type TimestampExtractor = {
  readonly name: string
  extract(
    record: {
      readonly key: unknown
      readonly value: unknown
      readonly timestampMs: number
      readonly offset: number
      readonly topic: string
      readonly partition: number
    },
    partitionTimeMs: number,
  ): number
}

export interface TimeWindowsSpec {
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}

/** R9: when every input is silent this long at its high watermark, stream time ticks on. */
export interface IdlePolicy {
  readonly closeMs: number
  /** An application id that must have committed all of its own inputs as well. */
  readonly after?: string
}

// ---------------------------------------------------------------- stores

interface StoreCommon {
  readonly name: string
  /** False: no changelog topic; contents are lost with the disk. */
  readonly logged: boolean
  /** Every put is logged in put order, as Kafka Streams does without its cache; else once a key and commit. */
  readonly logEvery: boolean
  readonly backend: 'level' | 'sqlite' | 'memory'
  /** Ranges are asked for: needs an ordered backend. */
  readonly ordered: boolean
  /** Topic config of the changelog as Kafka Streams would create it (3.4), partition count aside. */
  readonly changelogConfig: Readonly<Record<string, string>>
  /** A source table whose input topic is its changelog. */
  readonly changelogTopic?: string
}

export type StoreSpec =
  | (StoreCommon & {
      readonly kind: 'key-value'
      readonly key: AnySerde
      readonly value: AnySerde
      /** Rows are ts(8) ‖ value. */ readonly timestamped: boolean
    })
  | (StoreCommon & {
      readonly kind: 'window'
      readonly key: AnySerde
      readonly value: AnySerde
      readonly sizeMs: number
      readonly retentionMs: number
      /** An index window → keys is kept for closing. */ readonly onClose: boolean
    })
  | (StoreCommon & { readonly kind: 'suppress'; readonly key: AnySerde; readonly value: AnySerde })
  | (StoreCommon & { readonly kind: 'dedupe'; readonly withinMs: number })

// ---------------------------------------------------------------- nodes

interface NodeCommon {
  readonly name: string
  readonly parents: readonly string[]
  /** Names of the stores it may touch, in declared order. */
  readonly stores: readonly string[]
}

export interface SourceNode extends NodeCommon {
  readonly kind: 'source'
  readonly topics: readonly string[]
  readonly key: AnySerde
  readonly value: AnySerde
  /** Undefined: the application's default. Repartition sources always fail on an invalid one. */
  readonly timestampExtractor: TimestampExtractor | undefined
  /** A repartition topic's source: trusted serde, no guard against the far future. */
  readonly internal: boolean
  readonly idle: IdlePolicy | undefined
  /** R14: further ahead of max(stream time, wall clock) than this is a dead letter; undefined = no guard. */
  readonly maxAdvanceMs: number | undefined
  /** R12: stream time below this source is the minimum over upstream tasks' time records. */
  readonly time: 'records' | 'slowest-upstream'
}

/** What the sink does with a key to find a partition: its bytes, or the inner key's of a windowed key. */
export interface SinkNode extends NodeCommon {
  readonly kind: 'sink'
  readonly topic: string | ((value: unknown, key: unknown) => string)
  /** All that a chosen topic may be. */
  readonly topics?: readonly string[]
  readonly key: AnySerde
  readonly value: AnySerde
  /** Bytes that choose the partition when they are not the key's bytes (windowed keys: the inner key's). */
  readonly partitionKey: ((key: unknown) => Uint8Array) | undefined
  /** A repartition topic's sink. */
  readonly internal: boolean
  /** R12: passes time records on for these windows (ends at multiples of size/advance). */
  readonly sendsTime: boolean
}

/** What an aggregation does with a record: one shape for count, reduce and aggregate. */
export interface Adder {
  /** `reduce` takes the first value itself, so it has none. */
  readonly initial: (() => unknown) | undefined
  readonly add: (aggregate: unknown, value: unknown, key: unknown) => unknown
}

/** A stored table's node: its changes wait for the commit where it says so. */
interface TableNode {
  readonly sendsOldValues: boolean
  /** Undefined: each change is forwarded at once. */
  readonly emit?: 'per-commit'
}

export type OperatorNode = NodeCommon &
  (
    | { readonly kind: 'filter'; readonly predicate: Predicate; readonly keep: boolean }
    /** The filter in front of a repartition sink: drops null keys without a count. */
    | { readonly kind: 'drop-null-keys' }
    | { readonly kind: 'map'; readonly mapper: PairMapper }
    | {
        readonly kind: 'flat-map'
        readonly mapper: (value: unknown, key: unknown) => Iterable<readonly [unknown, unknown]>
      }
    | { readonly kind: 'map-values'; readonly mapper: ValueMapper }
    | {
        readonly kind: 'flat-map-values'
        readonly mapper: (value: unknown, key: unknown) => Iterable<unknown>
      }
    | { readonly kind: 'select-key'; readonly mapper: ValueMapper }
    | {
        readonly kind: 'peek'
        readonly action: (value: unknown, key: unknown) => void
        readonly ends: boolean
      }
    /** Merge, branch target and repartition pass-through: forwards what it gets. */
    | { readonly kind: 'pass' }
    /** Sends a record to the child whose predicate is first true; children in the order of predicates, then the default. */
    | {
        readonly kind: 'branch'
        readonly predicates: readonly Predicate[]
        readonly hasDefault: boolean
      }
    /** Source table: keeps the latest value per key in `store` (or passes changes on when it has none). */
    | (TableNode & {
        readonly kind: 'table-source'
        readonly store: string | undefined
      })
    /** A stream read as a table. */
    | (TableNode & {
        readonly kind: 'to-table'
        readonly store: string | undefined
      })
    | (TableNode & {
        readonly kind: 'table-filter'
        readonly predicate: Predicate
        readonly keep: boolean
        readonly store: string | undefined
      })
    | (TableNode & {
        readonly kind: 'table-map-values'
        readonly mapper: ValueMapper
        readonly store: string | undefined
      })
    | { readonly kind: 'to-stream' }
    /** Un-windowed count, reduce, aggregate. */
    | (TableNode & {
        readonly kind: 'aggregate'
        readonly store: string
        readonly adder: Adder
      })
    | {
        readonly kind: 'window-aggregate'
        readonly store: string
        readonly adder: Adder
        readonly windows: TimeWindowsSpec
        readonly emit: 'each-update' | 'per-commit' | 'on-close'
        readonly sendsOldValues: boolean
      }
    | {
        readonly kind: 'suppress'
        readonly store: string
        readonly until: 'window-closes' | 'time-limit'
        readonly durationMs: number
        readonly recordsMax: number | undefined
        readonly bytesMax: number | undefined
        readonly whenFull: 'emit-early' | 'shut-down'
      }
    /** `table` is the name of the table's node: its value getter is found by following parents up to a stored table. */
    | {
        readonly kind: 'stream-table-join'
        readonly table: string
        readonly joiner: (left: unknown, right: unknown, key: unknown) => unknown
        readonly left: boolean
      }
    | {
        readonly kind: 'dedupe'
        readonly store: string
        readonly by: ValueMapper
        readonly withinMs: number
      }
    /** A user's processor, one a task. `keepsKey`: forwarding another key is refused. */
    | {
        readonly kind: 'process'
        readonly supplier: () => UserProcessor
        readonly keepsKey: boolean
      }
  )

export type TopologyNode = SourceNode | SinkNode | OperatorNode
