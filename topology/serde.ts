/**
 * Serdes: the pair of encode and decode for one type, with the bytes of Kafka's own serdes.
 *
 * Invariant: `decode(encode(x))` equals `x`, and the same value always gives the same bytes.
 */
import type { Buffer } from 'node:buffer'
import type { ByteWriter } from '#system'

export interface Serde<T> {
  /** `string`, `json`, …: told in the stored topology, never parsed. */
  readonly name: string
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
  /** Hot path: appends what `encode` would return. */
  write(value: T, target: ByteWriter): void
  /** Hot path: what `decode(source.subarray(start, end))` would return. */
  read(source: Buffer, start: number, end: number): T
  /**
   * The same bytes without the check of a schema: internal and changelog topics use it, because what is there was
   * checked when it entered.
   */
  readonly trusted: Serde<T>
}
