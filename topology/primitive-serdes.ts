/**
 * Serdes of single values, with the bytes of Kafka's own: big-endian numbers, UTF-8 text, bytes as they are.
 *
 * Invariant: what a serde cannot give back as it was, it refuses to encode.
 */
import type { Buffer } from 'node:buffer'
import { type ByteWriter, readInt64 } from '#system'
import type { Serde } from './serde.ts'
import { StringSerde } from './string-serde.ts'
import { expectLength, refuse, WrittenSerde } from './written-serde.ts'

class BytesSerde extends WrittenSerde<Uint8Array> {
  readonly name: string = 'bytes'

  write(value: Uint8Array, target: ByteWriter): void {
    target.bytes(value)
  }

  /** A copy: the bytes read belong to a batch that moves on. */
  read(source: Buffer, start: number, end: number): Uint8Array {
    return Uint8Array.prototype.slice.call(source, start, end)
  }
}

class LongSerde extends WrittenSerde<number> {
  readonly name: string = 'long'

  write(value: number, target: ByteWriter): void {
    if (!Number.isSafeInteger(value)) refuse('long', `${value} is not a safe integer`)
    target.int64(value)
  }

  read(source: Buffer, start: number, end: number): number {
    expectLength('long', 8, start, end)
    const value = readInt64(source, start)
    if (!Number.isSafeInteger(value)) {
      refuse('long', `${source.readBigInt64BE(start)} is beyond 2^53 − 1: read it as bigint64()`)
    }
    return value
  }
}

class BigInt64Serde extends WrittenSerde<bigint> {
  readonly name: string = 'bigint64'

  write(value: bigint, target: ByteWriter): void {
    if (BigInt.asIntN(64, value) !== value) refuse('bigint64', `${value} does not fit 64 bits`)
    target.reserve(8)
    target.length = target.buffer.writeBigInt64BE(value, target.length)
  }

  read(source: Buffer, start: number, end: number): bigint {
    expectLength('bigint64', 8, start, end)
    return source.readBigInt64BE(start)
  }
}

class DoubleSerde extends WrittenSerde<number> {
  readonly name: string = 'double'

  write(value: number, target: ByteWriter): void {
    target.reserve(8)
    target.length = target.buffer.writeDoubleBE(value, target.length)
  }

  read(source: Buffer, start: number, end: number): number {
    expectLength('double', 8, start, end)
    return source.readDoubleBE(start)
  }
}

const bytesSerde = new BytesSerde()
const longSerde = new LongSerde()
const bigInt64Serde = new BigInt64Serde()
const doubleSerde = new DoubleSerde()

/** Text as UTF-8. */
export function string(): Serde<string> {
  return new StringSerde()
}

/** Bytes as they are. */
export function bytes(): Serde<Uint8Array> {
  return bytesSerde
}

/** A whole number as 8 bytes; −(2^53 − 1) to 2^53 − 1, anything beyond is refused both ways. */
export function long(): Serde<number> {
  return longSerde
}

/** Any 64-bit number as 8 bytes. */
export function bigint64(): Serde<bigint> {
  return bigInt64Serde
}

/** A number as 8 bytes, IEEE 754. */
export function double(): Serde<number> {
  return doubleSerde
}

/**
 * The same bytes, and a type that admits that a record's key or value may be missing: null never reaches a serde, it is
 * the absence of bytes.
 */
export function nullable<T>(serde: Serde<T>): Serde<T | null> {
  return serde as Serde<T | null>
}
