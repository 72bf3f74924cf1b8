/**
 * Interactive queries: what a store holds, read from outside its task, always with how far it is behind.
 *
 * Invariant: an answer shows committed state only (R16), at the position it names.
 */

/** What can be asked: a stored table, or a store that a processor declared. The types are only carried. */
export interface Queryable<K, V> {
  /** Name of the store. */
  readonly name: string
  /** Never there at run time: lets the compiler find K and V. */
  readonly '~types'?: { readonly key: K; readonly value: V }
}

export interface QueryOptions {
  /**
   * Waits until the effects of these inputs are in the store: next input offsets by `topic-partition`, as an append's answer
   * gives them (offset + 1). Only partitions that the asked task reads are waited for.
   */
  readonly minPositions?: Readonly<Record<string, number>>
  /** How long to wait for them at most; QUERY_STALE after that. */
  readonly waitMs?: number
  /** Also asks standbys and stores that are being restored, which may show half a commit. */
  readonly allowStale?: boolean
  /** Answers with the partitions that are here, where a range would else fail because others are elsewhere. */
  readonly localOnly?: boolean
}

/** A value with where it stands: `positions` are the applied input positions of the tasks that answered. */
export interface Answer<T> {
  readonly value: T
  readonly positions: Readonly<Record<string, number>>
  /** Who answered: with `localOnly` perhaps not all of the store's tasks. */
  readonly tasks: readonly string[]
  /** Input records that the answering tasks have not applied yet. */
  readonly lagRecords: number
  /** True where a standby or a restoring store answered. */
  readonly stale: boolean
}

export interface Bounds<K> {
  /** Inclusive, by the order of the encoded keys; a missing bound is open. */
  readonly from?: K
  readonly to?: K
  readonly reverse?: boolean
  /** 1,000 unless told. */
  readonly rowsMax?: number
}

export interface WindowBounds {
  /** Window starts, both included. */
  readonly fromMs?: number
  readonly toMs?: number
  readonly rowsMax?: number
}

export interface TableRow<K, V> {
  readonly key: K
  readonly value: V
  /** 0 in a store that keeps none. */
  readonly timestampMs: number
}

export interface WindowRow<K, V> extends TableRow<K, V> {
  readonly windowStartMs: number
  readonly windowEndMs: number
}

export interface TableQuery<K, V> {
  get(key: K, options?: QueryOptions): Promise<Answer<V | undefined>>
  /** Rows of all partitions, partition by partition, each in key order. QUERY_NOT_HERE if one is in another process. */
  range(bounds?: Bounds<K>, options?: QueryOptions): Promise<Answer<readonly TableRow<K, V>[]>>
}

export interface WindowQuery<K, V> {
  get(key: K, windowStartMs: number, options?: QueryOptions): Promise<Answer<V | undefined>>
  /** Windows of one key, by start. */
  fetch(
    key: K,
    bounds?: WindowBounds,
    options?: QueryOptions,
  ): Promise<Answer<readonly WindowRow<K, V>[]>>
  /** Windows of all keys of all partitions, by start. */
  windows(
    bounds?: WindowBounds,
    options?: QueryOptions,
  ): Promise<Answer<readonly WindowRow<K, V>[]>>
}
