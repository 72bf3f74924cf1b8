import { Buffer } from 'node:buffer'
import { expect, test } from 'bun:test'
import { ByteWriter, readInt64 } from './byte-writer.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

test('what was taken is not written to again, and the writer holds no buffer until it writes', () => {
  const writer = new ByteWriter(8)
  for (const word of ['a', 'several words', 'b', '']) {
    writer.utf8(word)
    const taken = writer.take()
    expect([writer.length, writer.buffer.length]).toEqual([0, 0])
    writer.utf8('something else')
    expect(text(taken)).toBe(word)
    writer.length = 0
  }
})

test('few bytes in a large buffer are given as a copy, which does not keep the buffer alive', () => {
  const writer = new ByteWriter(1 << 20)
  writer.utf8('few')
  expect(writer.take().buffer.byteLength).toBeLessThan(1 << 20)
})

test('after a large take the next buffer has room for as much at once', () => {
  const writer = new ByteWriter(8)
  writer.bytes(Buffer.alloc(100_000))
  writer.take()
  writer.uint8(1)
  expect(writer.buffer.length).toBeGreaterThan(100_000)
})

test('a range is copied from where it lies, and room is made for it', () => {
  const writer = new ByteWriter(2)
  writer.range(Buffer.from('before range after'), 7, 12)
  writer.range(Buffer.from('nothing'), 3, 3)
  expect(text(writer.copy())).toBe('range')
})

test.each([0, -1, 255, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER])(
  'int64 gives %d back',
  (value) => {
    const writer = new ByteWriter(1)
    writer.int64(value)
    expect(writer.buffer.readBigInt64BE(0)).toBe(BigInt(value))
    expect(readInt64(writer.buffer, 0)).toBe(value)
  },
)
