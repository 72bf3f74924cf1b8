/**
 * A record as the log sees it: bytes with a place and a time.
 *
 * Invariant: a raw record is a view of a batch's bytes, valid until its cursor moves on.
 */
import type { Buffer } from 'node:buffer'

/** Name and value in the order written; names may repeat and a value may be null. */
export type RecordHeader = readonly [name: string, value: Uint8Array | null]
export type RecordHeaders = readonly RecordHeader[]
export const NO_HEADERS: RecordHeaders = []

/** What a cursor over a record batch points at. Bytes are `buffer[start, end)`; a start of −1 means null. */
export interface RawRecord {
  readonly buffer: Buffer
  readonly offset: number
  readonly timestampMs: number
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  readonly headerCount: number
  /** Decoded when asked for; NO_HEADERS when there is none. */
  headers(): RecordHeaders
}
