import { expect, test } from 'bun:test'

import { crc32c, crc32cChange } from './crc32c.ts'

/** Bit by bit, as the definition has it. */
function slow(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

function noise(length: number): Uint8Array {
  let state = 1
  return Uint8Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) & 0xff)
}

test('has the check value of CRC-32C, and the vectors of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, n) => n))).toBe(0x46dd794e)
  expect(crc32c(new Uint8Array())).toBe(0)
})

test('is the same at every length and place, whichever way it is computed', () => {
  const bytes = noise(600)
  for (let start = 0; start < 20; start += 1) {
    for (const length of [0, 1, 7, 8, 15, 16, 17, 255, 256, 257, 271, 272, 300, 511, 560]) {
      const end = start + length
      expect(crc32c(bytes, start, end)).toBe(slow(bytes.subarray(start, end)))
    }
  }
  const large = noise(700_001)
  expect(crc32c(large)).toBe(slow(large))
  expect(crc32c(large, 21)).toBe(slow(large.subarray(21)))
})

test('sees every changed bit', () => {
  const bytes = noise(400)
  const before = crc32c(bytes)
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const at = bit >> 3
    bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
    expect(crc32c(bytes)).not.toBe(before)
    bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
  }
})

test('what a change does to the checksum needs none of the bytes behind it', () => {
  for (const length of [1, 7, 36, 300, 70_000, 1_000_003]) {
    const bytes = new Uint8Array(length).map((_, at) => (at * 31) ^ (at >> 7))
    const before = crc32c(bytes)
    const from = Math.floor(length / 3)
    const end = Math.min(length, from + 36)
    const changed = bytes.map((byte, at) => (at >= from && at < end ? byte ^ (at | 5) : byte))
    const difference = bytes.subarray(from, end).map((byte, at) => byte ^ (changed[from + at] ?? 0))
    expect((before ^ crc32cChange(difference, length - end)) >>> 0).toBe(crc32c(changed))
  }
})
