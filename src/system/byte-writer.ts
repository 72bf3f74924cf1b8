/**
 * One growing buffer that records, keys and values are written into: the hot path allocates nothing per record.
 *
 * Invariant: bytes below `length` are written, and `reserve` never moves what is below it out of order.
 */
import { Buffer } from 'node:buffer'

declare global {
  // Bun and Node have these on every Buffer, two to five times as fast as `write` and `toString`; the types leave them out.
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number
    latin1Write(text: string, offset?: number, length?: number): number
    utf8Slice(start?: number, end?: number): string
    latin1Slice(start?: number, end?: number): string
  }
}

const NO_BUFFER = Buffer.alloc(0)

export class ByteWriter {
  /** The bytes; replaced by a larger copy when they no longer fit, so never keep a reference across a write. */
  buffer: Buffer
  /** How many bytes are written; may be set back to undo a write. */
  length: number = 0
  /** How large the next buffer is to be, after `take`. */
  #capacityBytes: number = 0

  constructor(capacityBytes: number = 4096) {
    this.buffer = Buffer.allocUnsafe(capacityBytes)
  }

  /** Makes room for `count` more bytes; `length` does not move. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.buffer.length) return
    const capacityBytes = Math.max(needed, this.buffer.length * 2, this.#capacityBytes)
    const larger = Buffer.allocUnsafe(capacityBytes)
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** `source[start, end)`, without a view of it. */
  range(source: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    this.length += source.copy(this.buffer, this.length, start, end)
  }

  utf8(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.buffer.utf8Write(text, this.length)
  }

  uint8(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  int32(value: number): void {
    this.reserve(4)
    this.length = this.buffer.writeInt32BE(value, this.length)
  }

  /** A safe integer as 8 bytes, big-endian, two's complement. */
  int64(value: number): void {
    this.reserve(8)
    const high = Math.floor(value / 4294967296)
    this.buffer.writeInt32BE(high, this.length)
    this.buffer.writeUInt32BE(value - high * 4294967296, this.length + 4)
    this.length += 8
  }

  /**
   * Gives everything away, without a copy where it fills most of the buffer. The next write makes a buffer with room for as
   * much and an eighth more, so that a writer that rests holds none.
   */
  take(): Uint8Array {
    const { buffer, length } = this
    const bytes = length * 2 < buffer.length ? this.copy() : buffer.subarray(0, length)
    this.buffer = NO_BUFFER
    this.length = 0
    this.#capacityBytes = length + (length >> 3)
    return bytes
  }

  /** A copy of everything from `start`. */
  copy(start: number = 0): Uint8Array {
    return Uint8Array.prototype.slice.call(this.buffer, start, this.length)
  }
}

/** 8 bytes, big-endian, two's complement, at `at`; exact for safe integers. */
export function readInt64(source: Buffer, at: number): number {
  return source.readInt32BE(at) * 4294967296 + source.readUInt32BE(at + 4)
}

/** Bytes as a Buffer over the same memory, which has the fast string methods. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
