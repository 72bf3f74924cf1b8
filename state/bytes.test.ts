import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import {
  bytesToText,
  compareBytes,
  equalBytes,
  fromHex,
  keyAfter,
  prefixEnd,
  textToBytes,
  toHex,
} from './bytes.ts'

const bytes = fc
  .uint8Array({ maxLength: 6 })
  .map((given) => given.map((byte) => (byte < 200 ? byte : 0xff)))

test('texts of one character a byte compare as the bytes do, and come back', () => {
  fc.assert(
    fc.property(bytes, bytes, (left, right) => {
      const [a, b] = [bytesToText(left), bytesToText(right)]
      expect(a < b ? -1 : a > b ? 1 : 0).toBe(compareBytes(left, right))
      expect(a === b).toBe(equalBytes(left, right))
      expect(toHex(textToBytes(a))).toBe(toHex(left))
      expect(fromHex(toHex(left))).toEqual(Uint8Array.from(left))
    }),
  )
})

test('nothing sorts between a key and the key after it', () => {
  fc.assert(
    fc.property(bytes, bytes, (key, other) => {
      expect(compareBytes(key, keyAfter(key))).toBe(-1)
      const isBetween = compareBytes(other, key) > 0 && compareBytes(other, keyAfter(key)) < 0
      expect(isBetween).toBe(false)
    }),
  )
})

test('a key starts with a prefix exactly when it lies from the prefix to its end', () => {
  const ends = (hex: string): string | undefined => prefixEnd(fromHex(hex))?.toHex()
  expect([ends('6162'), ends('61ff'), ends('ffff'), ends('')]).toEqual([
    '6163',
    '62',
    undefined,
    undefined,
  ])
  fc.assert(
    fc.property(bytes, bytes, (prefix, key) => {
      const end = prefixEnd(prefix)
      const isInside =
        compareBytes(key, prefix) >= 0 && (end === undefined || compareBytes(key, end) < 0)
      expect(isInside).toBe(toHex(key).startsWith(toHex(prefix)))
    }),
  )
})
