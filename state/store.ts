/**
 * The state contract: ordered bytes of one task's store, at a known position of its changelog.
 *
 * Invariant: data and header change in one atomic step, so a store always is the fold of its changelog below its
 * position. Every backend passes `store.contract.ts`.
 */

export interface StoreEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** `value: null` removes the key. */
export interface StoreChange {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/** How far a store has applied one changelog partition. */
export interface ChangelogPosition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Leader epoch of the last applied offset. */
  readonly leaderEpoch: number
  /** The next changelog offset to apply: own last acknowledged offset + 1 (R2), never the log's end. */
  readonly position: number
}

/** R6: what a store says about itself; written in the same batch as the data. */
export interface StoreHeader {
  /** Layout of this header and of the rows; a newer one is refused. */
  readonly format: number
  readonly logId: string
  readonly applicationId: string
  readonly storeName: string
  readonly taskId: string
  /** One entry for a task's store, one a partition for a global store; none while nothing was applied. */
  readonly changelogs: readonly ChangelogPosition[]
  /** Input positions whose effects are in the store, by `topic-partition`. */
  readonly appliedInputs: Readonly<Record<string, number>>
  /** Wall-clock time of the last apply (R7). */
  readonly appliedAtMs: number
}

export const STORE_FORMAT = 1

export interface ScanOptions {
  /** First key, included. */
  readonly from?: Uint8Array
  /** First key that is not included. */
  readonly to?: Uint8Array
  readonly reverse?: boolean
  /** Rows in one chunk; 1,000 by default. */
  readonly chunkRows?: number
}

export interface StateStore {
  /** A key that comes again in one `apply` costs less than to find that out before: a restore hands over every record. */
  readonly takesRepeats?: boolean
  /** What was last applied, or undefined for a store that never was. */
  header(): StoreHeader | undefined
  /** Synchronous: what the last completed `apply` left. The caller's own copy, or never changed by the store again. */
  get(key: Uint8Array): Uint8Array | undefined
  /**
   * Applies all changes and the header, or nothing. Keys may repeat: the last wins. One at a time. A failure is fatal:
   * STORE_FAILED, and the store must be closed and opened again. The bytes given must not change until it resolves; the
   * store keeps none of them after that.
   */
  apply(changes: readonly StoreChange[], header: StoreHeader): Promise<void>
  /**
   * Rows in key order, in chunks. Holds no iterator or snapshot between chunks, so writes may go on: a row written
   * meanwhile may or may not be seen, every other row is seen exactly once.
   */
  scan(options?: ScanOptions): AsyncIterable<readonly StoreEntry[]>
  /** Rows and bytes, for people: exact in memory; elsewhere an estimate, within a small factor. */
  size(): { readonly rows: number; readonly bytes: number }
  /** A clean close leaves a mark; a store opened without one after a reboot may be refused (R8). */
  close(): Promise<void>
}

/** A store that also answers ranges at once: sessions, joins, suppress and whatever declares `ordered: true`. */
export interface OrderedStore extends StateStore {
  readonly ordered: true
  /** Rows in key order, synchronously, never held across a write. */
  range(options: ScanOptions & { readonly rowsMax?: number }): readonly StoreEntry[]
}

export interface StoreLocation {
  readonly applicationId: string
  readonly taskId: string
  readonly storeName: string
}

export type BackendKind = 'memory' | 'sqlite' | 'level'

/** Opens the stores of one backend below one folder (memory: below nothing). */
export interface StoreBackend {
  readonly kind: BackendKind
  readonly ordered: boolean
  /** How many changes a restorer should hand to one `apply`: fewer cost speed, more cost memory and a longer pause. */
  readonly restoreBatchRows: number
  /** The same while other work shares the thread: as many as one `apply` takes without holding it for 50 ms. */
  readonly restoreSliceRows: number
  /** STORE_REFUSED with the reason if what is there is newer, or no store of this kind; what was damaged says so by `wiped`. */
  open(location: StoreLocation): Promise<OpenedStore>
  /** Removes the store's files; it must not be open. */
  wipe(location: StoreLocation): Promise<void>
}

export interface OpenedStore {
  readonly store: StateStore
  /** Why the backend itself threw the contents away at opening (R8), if it did: the store is now empty. */
  readonly wiped: WipedStore | undefined
}

export interface WipedStore {
  /** No clean close before the machine restarted, or bytes that the backend itself found broken. */
  readonly reason: 'unclean-reboot' | 'damaged'
  /** The same for people: what was found and where. */
  readonly text: string
}

export function isOrdered(store: StateStore): store is OrderedStore {
  return 'ordered' in store && store.ordered === true
}

export type StateErrorCode =
  /** The backend could not write or read: close the store, open it again, restore. */
  | 'STORE_FAILED'
  /** Newer format or not a store: upgrade, or remove the folder to rebuild from the changelog. */
  | 'STORE_REFUSED'
  /** Another process or worker holds it: one folder, one owner. */
  | 'STORE_LOCKED'
  /** The store is closed. */
  | 'STORE_CLOSED'
  /** The store's key or value cannot be encoded or decoded with the serdes given. */
  | 'STORE_SERDE'

export class StateError extends Error {
  override readonly name: string = 'StateError'
  readonly code: StateErrorCode

  constructor(code: StateErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
  }
}
