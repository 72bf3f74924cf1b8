/**
 * A store as its task uses it: decoded values, writes that wait for the commit, and a savepoint per record.
 *
 * Invariant: nothing reaches the backend before the log has committed it; reads by the task see its own writes.
 *
 * One life: `load` → (`savepoint` → reads, writes → maybe `rollback`)* → `seal` → … → `release` → … A task whose commit did
 * not succeed throws its task stores away and makes new ones (R5); there is no undo but `rollback`.
 */
import type { Buffer } from 'node:buffer'
import type { ByteWriter } from '#system'
import type { StoreChange } from './store.ts'

/** A record for the changelog; a missing timestamp means that the log's writer sets the commit's time. */
export interface ChangelogRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  readonly timestampMs: number | undefined
  readonly headers?: readonly (readonly [string, Uint8Array | null])[]
}

/** One commit's writes, encoded once: what the changelog gets and what the backend gets. */
export interface SealedWrites {
  readonly changelog: readonly ChangelogRecord[]
  readonly changes: readonly StoreChange[]
}

/** Encodes and decodes; `write` and `read` copy nothing first. Topology's serdes are such codecs. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
  /** Appends what `encode` would return. */
  write(value: T, target: ByteWriter): void
  /** What `decode(source.subarray(start, end))` would return. */
  read(source: Buffer, start: number, end: number): T
}

/** Lets everything else that is ready run: a clock's `turn`. */
export type Turn = () => Promise<void>

export interface TaskStore {
  readonly name: string
  /**
   * Fills what is kept in memory from the backend: after restore, before the first record. It takes a `turn` every few
   * milliseconds of work, so that a large store does not stop whatever else the thread does.
   */
  load(turn?: Turn): Promise<void>
  /** Starts a record: `rollback` returns to here (R15). */
  savepoint(): void
  rollback(): void
  /** Closes the open layer: its writes, encoded. Further writes go to a fresh layer. One sealed layer at a time (R4). */
  seal(): SealedWrites
  /**
   * What the writes since the savepoint would bring to the changelog; throws what `seal` would throw at them. A task asks that
   * looks for a record whose writes cannot be sealed. A store without it refuses nothing.
   */
  encodedSinceSavepoint?(): readonly ChangelogRecord[]
  /** The sealed layer is committed and applied: one synchronous step that updates the cache and drops the layer (R4). */
  release(): void
  /** Bytes of layers and cache, roughly, for the memory budget. */
  readonly memoryBytes: number
}

export interface TimedValue<V> {
  readonly value: V
  readonly timestampMs: number
}

/** Inclusive bounds on keys, compared by their encoded bytes; a missing bound is open. */
export interface KeyRange<K> {
  readonly from?: K
  readonly to?: K
  readonly reverse?: boolean
}

export interface KeyValueTaskStore<K, V> extends TaskStore {
  get(key: K): V | undefined
  /** The value with the time it was written with (0 for plain stores, which keep none). */
  getTimed(key: K): TimedValue<V> | undefined
  /** `null` deletes. `timestampMs` is the record's (plain stores: only the changelog record carries it). */
  put(key: K, value: V | null, timestampMs: number): void
  /** Entries in key byte order, uncommitted writes included; only on ordered stores (the others throw an assertion). */
  range(range: KeyRange<K>): Iterable<readonly [key: K, value: V]>
}

/** Windows are told apart by their start; one value a key and window. */
export interface WindowTaskStore<K, V> extends TaskStore {
  /** Undefined also for a window that retention hides: start < observed − retention + 1 (S1). */
  getTimed(key: K, windowStartMs: number): TimedValue<V> | undefined
  /** False if the window's segment has expired: nothing is written, and the caller counts a dropped record (S3). */
  put(key: K, windowStartMs: number, value: V | null, timestampMs: number): boolean
  /** Highest window start put so far (S1); −1 at first. Rebuilt by `load`. */
  readonly observedTimeMs: number
  /**
   * Windows that start at or after `windowStartMs` are still open: retention neither hides, refuses nor drops them, however
   * far `observedTimeMs` has run ahead. Without it a window that is closed by the slowest upstream (R12), or read by the
   * closing pass after a jump of stream time, would lose rows. Its operator calls it before the first record and whenever
   * its windows close; until the first call every window is open. `rollback` undoes it.
   */
  holdFrom(windowStartMs: number): void
  /** Entries of windows with `fromMs ≤ start ≤ toMs`, by start, then key bytes; uncommitted writes included. */
  windows(fromMs: number, toMs: number): Iterable<WindowEntry<K, V>>
  /** Entries of one key, by start; hidden ones left out. */
  fetch(key: K, fromMs: number, toMs: number): Iterable<WindowEntry<K, V>>
}

export interface WindowEntry<K, V> {
  readonly key: K
  readonly windowStartMs: number
  readonly value: V
  readonly timestampMs: number
}

/** Ids already seen, by stream time at acceptance (R14). */
export interface DedupeTaskStore extends TaskStore {
  /**
   * Whether `id` is a repeat: accepted before, and `streamTimeMs − acceptedAt ≤ withinMs`. A fingerprint that matches is
   * verified against the stored id. If it is not a repeat, `id` is now accepted at `streamTimeMs`.
   */
  isRepeat(id: string, streamTimeMs: number): boolean
  readonly ids: number
}

/** One buffered change of a table, as suppress keeps it (see semantics 3.2, `BufferValue`). Bytes, because the format is. */
export interface BufferedChange {
  readonly key: Uint8Array
  /** Prior, old and new serialised values; null = absent. */
  readonly priorValue: Uint8Array | null
  readonly oldValue: Uint8Array | null
  readonly newValue: Uint8Array | null
  readonly context: {
    readonly timestampMs: number
    readonly offset: number
    readonly topic: string | null
    readonly partition: number
    readonly headers: readonly (readonly [string, Uint8Array | null])[]
  }
}

/** Changes ordered by (time, key bytes), at most one a key; survives restarts through its changelog. */
export interface SuppressTaskStore extends TaskStore {
  readonly records: number
  readonly bytes: number
  /** Time of the oldest entry; Infinity when empty. */
  readonly oldestTimeMs: number
  /** Adds or replaces: an existing key keeps its place in time and its prior value. */
  put(
    timeMs: number,
    change: Omit<BufferedChange, 'priorValue'> & { readonly priorValue?: Uint8Array | null },
  ): void
  get(key: Uint8Array): BufferedChange | undefined
  /** Removes and returns the oldest entry. */
  takeOldest(): { readonly timeMs: number; readonly change: BufferedChange } | undefined
}
