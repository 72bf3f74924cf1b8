/**
 * The bytes of rows: how keys and values of task stores lie in a backend and in a changelog, as Kafka Streams lays them.
 *
 * Invariant: changelog key = row key; a timestamped row is ts(8) ‖ value, its changelog record the value alone, with the
 * record's own timestamp carrying the eight bytes.
 */
import { asBuffer, ByteWriter, readInt64 } from '#system'
import type { Buffer } from 'node:buffer'
import { StateError } from './store.ts'
import type { Codec, TimedValue } from './task-store.ts'

/** As much of a key as an error names. */
const SHOWN_KEY_BYTES = 64

/** start(8) ‖ seq(4) behind the key of a window store's row; seq is 0 where no duplicates are kept. */
export const WINDOW_SUFFIX_BYTES = 12
export const TIMESTAMP_BYTES = 8

/** key ‖ start(8) ‖ seq(4). */
export function windowStoreKey(key: Uint8Array, startMs: number, sequence: number = 0): Uint8Array {
  const target = new ByteWriter(key.length + WINDOW_SUFFIX_BYTES)
  target.bytes(key)
  writeWindowSuffix(target, startMs, sequence)
  return target.copy()
}

export function writeWindowSuffix(target: ByteWriter, startMs: number, sequence: number): void {
  target.int64(startMs)
  target.int32(sequence)
}

export interface WindowStoreKey {
  readonly key: Uint8Array
  readonly startMs: number
  readonly sequence: number
}

/** Undefined for a row that is no window's: window stores keep notes under keys shorter than the suffix. */
export function parseWindowStoreKey(rowKey: Uint8Array): WindowStoreKey | undefined {
  const keyEnd = rowKey.length - WINDOW_SUFFIX_BYTES
  if (keyEnd < 0) return undefined
  const row = asBuffer(rowKey)
  return {
    key: rowKey.subarray(0, keyEnd),
    startMs: readInt64(row, keyEnd),
    sequence: row.readInt32BE(keyEnd + 8),
  }
}

/** A timestamped row's parts. */
export function parseTimestamped(row: Uint8Array): {
  readonly timestampMs: number
  readonly value: Uint8Array
} {
  return { timestampMs: readInt64(asBuffer(row), 0), value: row.subarray(TIMESTAMP_BYTES) }
}

/** How one store's rows are read and written. */
export class RowFormat<K, V> {
  readonly #storeName: string
  readonly #key: Codec<K>
  readonly #value: Codec<V>
  readonly #valueAt: number
  /** Keys that are looked up, one after another: a key is encoded, asked for and forgotten. */
  readonly #scratch = new ByteWriter(256)

  constructor(storeName: string, key: Codec<K>, value: Codec<V>, timestamped: boolean) {
    this.#storeName = storeName
    this.#key = key
    this.#value = value
    this.#valueAt = timestamped ? TIMESTAMP_BYTES : 0
  }

  get timestamped(): boolean {
    return this.#valueAt > 0
  }

  /**
   * What maps are keyed by: a string key itself, any other by its bytes, marked by a lone surrogate, which no decoded string
   * begins with.
   */
  mapKeyOf(key: K): string {
    if (typeof key === 'string') return key
    const length = this.#encodeKey(key)
    return `\uD800${this.#scratch.buffer.latin1Slice(0, length)}`
  }

  /** The key's bytes in a buffer that the next call overwrites. */
  scratchKey(key: K): Buffer {
    const length = this.#encodeKey(key)
    return this.#scratch.buffer.subarray(0, length)
  }

  /** The same for key ‖ start ‖ 0. */
  scratchWindowKey(key: K, startMs: number): Buffer {
    this.#encodeKey(key)
    writeWindowSuffix(this.#scratch, startMs, 0)
    return this.#scratch.buffer.subarray(0, this.#scratch.length)
  }

  keyBytes(key: K): Uint8Array {
    this.#encodeKey(key)
    return this.#scratch.copy()
  }

  windowKeyBytes(key: K, startMs: number): Uint8Array {
    this.#encodeKey(key)
    writeWindowSuffix(this.#scratch, startMs, 0)
    return this.#scratch.copy()
  }

  readKey(rowKey: Uint8Array, end: number): K {
    try {
      return this.#key.read(asBuffer(rowKey), 0, end)
    } catch (cause) {
      throw this.#serdeError('a key cannot be decoded', cause)
    }
  }

  readRow(row: Uint8Array): TimedValue<V> {
    const source = asBuffer(row)
    try {
      const value = this.#value.read(source, this.#valueAt, source.length)
      return { value, timestampMs: this.#valueAt === 0 ? 0 : readInt64(source, 0) }
    } catch (cause) {
      throw this.#serdeError('a value cannot be decoded', cause)
    }
  }

  writeKey(key: K, target: ByteWriter): void {
    try {
      this.#key.write(key, target)
    } catch (cause) {
      throw this.#serdeError('a key cannot be encoded', cause)
    }
  }

  /** `key` is whose value it is. */
  writeValue(value: V, target: ByteWriter, key: K): void {
    try {
      this.#value.write(value, target)
    } catch (cause) {
      const shown = asBuffer(this.keyBytes(key)).toString('utf8', 0, SHOWN_KEY_BYTES)
      throw this.#serdeError(`the value of key ${JSON.stringify(shown)} cannot be encoded`, cause)
    }
  }

  #encodeKey(key: K): number {
    this.#scratch.length = 0
    this.writeKey(key, this.#scratch)
    return this.#scratch.length
  }

  #serdeError(what: string, cause: unknown): StateError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new StateError('STORE_SERDE', `store ${this.#storeName}: ${what}: ${reason}`, { cause })
  }
}
