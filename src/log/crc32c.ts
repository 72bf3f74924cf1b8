/**
 * CRC-32C (Castagnoli), the checksum of a record batch: reflected polynomial 0x82F63B78, start and final exclusive-or all ones.
 *
 * Invariant: `crc32c(b'123456789')` is 0xE3069283, and any change of up to three bits is seen.
 */
import { Crc32cModule } from './crc32c-module.ts'

/** From here on copying into the module's memory pays. */
const MODULE_BYTES_MIN = 256

// Table k of 256 entries: entry n is the checksum of byte n followed by k zero bytes, so many bytes go in one step.
const TABLES = 16
const tables = buildTables()
const [T0, T1, T2, T3, T4, T5, T6, T7] = Array.from({ length: 8 }, (_, k) => {
  return tables.slice(k * 256, k * 256 + 256)
}) as unknown as readonly [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
]

let module: Crc32cModule | undefined

/** The checksum of `bytes[start, end)` as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  if (end - start < MODULE_BYTES_MIN) return ~update(-1, bytes, start, end) >>> 0
  module ??= new Crc32cModule(tables)
  return ~module.update(-1, bytes, start, end) >>> 0
}

/**
 * What a change does to a checksum, without the bytes behind it: `after = before ^ crc32cChange(difference, bytesBehind)`, where
 * the difference is the exclusive-or of the old and the new bytes. Costs the same for any length: about 2 µs.
 */
export function crc32cChange(difference: Uint8Array, bytesBehind: number): number {
  // Checksums are linear: that of the difference, moved on over so many zero bytes, each of which multiplies it by x^8.
  let moved = update(0, difference, 0, difference.length)
  let power = POWERS_START
  for (let rest = bytesBehind; rest > 0; rest = Math.floor(rest / 2)) {
    const factor = (powers[power] ??= multiply(
      powers[power - 1] as number,
      powers[power - 1] as number,
    ))
    if (rest % 2 === 1) moved = multiply(factor, moved)
    power += 1
  }
  return moved >>> 0
}

/** x^(2^n) at n, the lowest power in the highest bit; grown as needed. x^8 is at 3. */
const powers: number[] = [0x40000000]
powers.push(multiply(0x40000000, 0x40000000))
powers.push(multiply(powers[1] as number, powers[1] as number))
const POWERS_START = 3

/** The product of two polynomials over bits, modulo the checksum's. */
function multiply(a: number, b: number): number {
  let product = 0
  let shifted = b
  for (let bit = 31; bit >= 0; bit -= 1) {
    if ((a >>> bit) & 1) product ^= shifted
    shifted = shifted & 1 ? (shifted >>> 1) ^ 0x82f63b78 : shifted >>> 1
  }
  return product
}

/** Eight bytes a step: what is short stays here. */
function update(before: number, bytes: Uint8Array, start: number, end: number): number {
  let crc = before
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (T7[low & 0xff] as number) ^
      (T6[(low >>> 8) & 0xff] as number) ^
      (T5[(low >>> 16) & 0xff] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number)
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ (T0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return crc
}

function buildTables(): Int32Array {
  const all = new Int32Array(TABLES * 256)
  for (let n = 0; n < 256; n += 1) {
    let crc = n
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    all[n] = crc
  }
  for (let at = 256; at < all.length; at += 1) {
    const crc = all[at - 256] as number
    all[at] = (crc >>> 8) ^ (all[crc & 0xff] as number)
  }
  return all
}
