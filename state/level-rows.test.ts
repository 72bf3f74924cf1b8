import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compareBytes, fromHex } from './bytes.ts'
import { BEYOND, HEADER, isOwn, MARK, SAMPLE, toKey, toRowKey } from './level-rows.ts'

const ff16 = 'ff'.repeat(16)

test('the worked examples: rows under their own keys, reserved ones one byte further', () => {
  const key = fromHex('6162')
  expect(toRowKey(key)).toBe(key)
  expect(toRowKey(fromHex(`${ff16}61`)).toHex()).toBe(`${ff16}0161`)
  expect(HEADER.toHex()).toBe(`${ff16}0068`)
})

test('keys keep their order and come back, and none is one of our own rows or beyond them all', () => {
  const reserved = fc.tuple(fc.integer({ min: 14, max: 18 }), fc.uint8Array({ maxLength: 3 }))
  const key = fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    reserved.map(([count, end]) => Buffer.concat([Buffer.alloc(count, 0xff), end])),
  )
  fc.assert(
    fc.property(key, key, (left, right) => {
      expect(compareBytes(toRowKey(left), toRowKey(right))).toBe(compareBytes(left, right))
      expect(toKey(toRowKey(left)).toHex()).toBe(left.toHex())
      expect(isOwn(toRowKey(left))).toBe(false)
      expect(compareBytes(toRowKey(left), BEYOND)).toBe(-1)
    }),
  )
  expect([HEADER, SAMPLE, MARK].every(isOwn)).toBe(true)
})
