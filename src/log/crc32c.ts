/**
 * CRC-32C (Castagnoli), the checksum of a record batch: reflected polynomial 0x82F63B78, start and final exclusive-or all ones.
 *
 * Invariant: `crc32c(b'123456789')` is 0xE3069283, and any change of up to three bits is seen.
 */

// Eight tables: entry n of table k is the checksum of byte n followed by k zero bytes, so eight bytes go in one step.
const tables = buildTables()
const [T0, T1, T2, T3, T4, T5, T6, T7] = tables

function buildTables(): readonly [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
] {
  const make = (): Int32Array => new Int32Array(256)
  const all = [make(), make(), make(), make(), make(), make(), make(), make()] as const
  for (let n = 0; n < 256; n += 1) {
    let crc = n
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    all[0][n] = crc
  }
  for (let n = 0; n < 256; n += 1) {
    let crc = all[0][n] as number
    for (const table of all.slice(1)) {
      crc = (crc >>> 8) ^ (all[0][crc & 0xff] as number)
      table[n] = crc
    }
  }
  return all
}

/** The checksum of `bytes[start, end)` as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  let crc = -1
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
  return ~crc >>> 0
}
