/**
 * The format's variable-length integers: zigzag, seven bits a byte, lowest first.
 *
 * Invariant: every writer gives the shortest form, so that equal records are equal bytes.
 */
import type { ByteWriter } from '#system'
import type { Buffer } from 'node:buffer'

/** Bytes that a length of 0 to 2^31 − 1 takes. */
export function varintBytes(length: number): number {
  if (length < 64) return 1
  if (length < 8192) return 2
  if (length < 1_048_576) return 3
  return length < 134_217_728 ? 4 : 5
}

/** Puts a length of 0 to 2^31 − 1 at `at`; there is room. Returns where it ends. */
export function putVarint(target: Buffer, at: number, length: number): number {
  let rest = (length << 1) >>> 0
  let end = at
  while (rest > 0x7f) {
    target[end++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[end++] = rest
  return end
}

/** Appends a length of 0 to 2^31 − 1; the caller has made room for 5 bytes. */
export function writeVarint(out: ByteWriter, length: number): void {
  out.length = putVarint(out.buffer, out.length, length)
}

/** Appends a safe integer of either sign; the caller has made room for 10 bytes. */
export function writeVarlong(out: ByteWriter, value: number): void {
  const target = out.buffer
  let end = out.length
  if (value >= -0x40000000 && value < 0x40000000) {
    let rest = (value << 1) ^ (value >> 31)
    while (rest > 0x7f) {
      target[end++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    target[end++] = rest
    out.length = end
    return
  }
  // Bit operations would cut it, and doubling a number near 2^53 would round it: sign bit and six bits first, then sevens.
  let rest = value < 0 ? -value - 1 : value
  target[end++] = ((rest % 64) << 1) | (value < 0 ? 1 : 0) | 0x80
  rest = Math.floor(rest / 64)
  while (rest > 0x7f) {
    target[end++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  target[end++] = rest
  out.length = end
}
