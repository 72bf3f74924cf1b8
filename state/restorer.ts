/**
 * What turns the records of a changelog back into rows: its contract, and what it has to know of a store.
 *
 * Invariant: rows and deletes, applied in the order in which they are answered, are a store at the position that was read up to.
 */
import type { Buffer } from 'node:buffer'
import type { StoreChange } from './store.ts'

/**
 * How what expires leaves a restored store. `logged`: the changelog says, by tombstones. `by-time`: it never does (compaction
 * with deletion by age), so what newest time has left behind is dropped. `kept`: nor may time decide, for windows that are held
 * open; the rows wait for the live store.
 */
export type RestoredExpiry = 'logged' | 'by-time' | 'kept'

/** What of a store decides its rows. */
export type RestoreSpec =
  | { readonly name: string; readonly kind: 'key-value'; readonly timestamped: boolean }
  | {
      readonly name: string
      readonly kind: 'window'
      readonly retentionMs: number
      readonly expiry: RestoredExpiry
    }
  | { readonly name: string; readonly kind: 'suppress' }
  | {
      readonly name: string
      readonly kind: 'dedupe'
      readonly withinMs: number
      readonly expiry: RestoredExpiry
    }

/** A record of a changelog, with a key: bytes of a buffer, a value start of −1 is a delete. The log's `RawRecord` is one. */
export interface RestoredRecord {
  readonly buffer: Buffer
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  readonly timestampMs: number
  /** Asked for only where the format has some. */
  headers(): readonly (readonly [name: string, value: Uint8Array | null])[]
}

export interface ChangelogRestorer {
  /** The buffer's bytes must not change before the rows of the next `take` are applied; the record itself may move on. */
  add(record: RestoredRecord): void
  /** Rows that wait. */
  readonly rows: number
  /** The rows of everything added since the last `take`; the next one counts on these being applied first. */
  take(): readonly StoreChange[]
  /**
   * Deletes of rows that have expired and that no record deletes, in chunks, each of which may be applied alone at the store's
   * position. Asked for when everything taken is applied; some chunks are empty, so that whoever asks can let others run.
   */
  expired(): AsyncIterable<readonly StoreChange[]>
}
