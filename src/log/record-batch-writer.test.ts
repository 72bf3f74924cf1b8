import { AssertionError, type ByteWriter } from '#system'
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'

import { COMPRESSIONS } from './compression.ts'
import { checkBatch, readBatchHeader } from './record-batch.ts'
import { RecordBatchWriter } from './record-batch-writer.ts'
import { RecordCursor } from './record-cursor.ts'
import { decodeBatch } from './test-helpers/decode.ts'

const place = { topic: 'orders', partition: 0 }
const text = { write: (value: string, target: ByteWriter): void => target.utf8(value) }
const hex = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

/** Sizes on both sides of where a varint grows by a byte. */
const SIZES = [0, 1, 63, 64, 65, 8_191, 8_192, 8_193, 1_048_575, 1_048_576]

describe('RecordBatchWriter', () => {
  test('writes any records so that they are read as they were (property)', () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 200 }))
    const record = fc.record({
      timestampMs: fc.oneof(
        fc.integer({ min: -1, max: 5 }),
        fc.maxSafeNat(),
        fc.integer({ min: 1_699_999_000_000, max: 1_700_001_000_000 }),
      ),
      key: bytes,
      value: bytes,
      headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), bytes), { maxLength: 4 }),
    })
    const writers = COMPRESSIONS.map((compression) => new RecordBatchWriter({ compression }))
    const cursor = new RecordCursor()
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        for (const writer of writers) {
          for (const { timestampMs, key, value, headers } of records) {
            writer.add(timestampMs, key, value, headers)
          }
          expect(writer.count).toBe(records.length)
          const sizeBytes = writer.sizeBytes
          const batch = writer.finish()
          if (writer === writers[0]) expect(batch.length).toBe(sizeBytes)
          checkBatch(batch, { ...place, offset: 0 })
          expect(decodeBatch(batch, place, cursor)).toEqual(
            records.map(({ timestampMs, key, value, headers }, offset) => ({
              offset,
              timestamp: timestampMs,
              keyHex: hex(key),
              valueHex: hex(value),
              headers: headers.map(([name, bytes]) => [name, hex(bytes)] as const),
            })),
          )
        }
      }),
      { numRuns: 300 },
    )
  })

  test('guesses lengths and moves the bytes when it guessed wrong', () => {
    const writer = new RecordBatchWriter()
    const sizes = [...SIZES, ...SIZES.toReversed(), 5, 1_048_576, 5]
    for (const size of sizes) {
      writer.addWith(7, 'k'.repeat(size % 9_000), text, 'v'.repeat(size), text, [
        ['h'.repeat(size % 9_000), new Uint8Array(size % 9_000)],
      ])
    }
    const records = decodeBatch(writer.finish(), place)
    const lengths = records.map(({ keyHex, valueHex, headers }) => [
      (keyHex ?? '').length / 2,
      (valueHex ?? '').length / 2,
      headers[0]?.[0].length,
    ])
    expect(lengths).toEqual(sizes.map((size) => [size % 9_000, size, size % 9_000]))
  })

  test('the way through serdes gives the same bytes as the way through bytes', () => {
    const [a, b] = [new RecordBatchWriter(), new RecordBatchWriter()]
    for (const value of ['', 'x', 'ключ', 'x'.repeat(100), null]) {
      a.addWith(5, value, text, value, text, [])
      const bytes = value === null ? null : Buffer.from(value)
      b.add(5, bytes, bytes, [])
    }
    expect(hex(a.finish())).toBe(hex(b.finish()))
  })

  test('a record whose serde throws is not there', () => {
    const writer = new RecordBatchWriter()
    const failing = {
      write(value: string, target: ByteWriter): void {
        target.utf8(value)
        throw new TypeError('no')
      },
    }
    expect(() => writer.addWith(99, 'first', text, 'half', failing, [])).toThrow('no')
    writer.addWith(5, 'a', text, '1', text, [])
    expect(() => writer.addWith(99, 'half', failing, '2', text, [])).toThrow('no')
    expect(() => writer.addWith(99, 'b', text, 'half', failing, [])).toThrow('no')
    expect(writer.count).toBe(1)
    writer.addWith(6, 'c', text, '3', text, [])
    const batch = writer.finish()
    expect(decodeBatch(batch, place).map(({ keyHex }) => keyHex)).toEqual(['61', '63'])
    expect(readBatchHeader(batch)).toMatchObject({ baseTimestampMs: 5, maxTimestampMs: 6 })
  })

  test.each(COMPRESSIONS)(
    'gives a batch of noise as large as it said, never larger (%s)',
    (compression) => {
      const writer = new RecordBatchWriter({ compression })
      writer.add(0, null, crypto.getRandomValues(new Uint8Array(10_000)), [])
      const { sizeBytes } = writer
      const noise = writer.finish()
      expect(noise.length).toBe(sizeBytes)
      expect(readBatchHeader(noise).compression).toBe('none')
      writer.add(0, null, new Uint8Array(10_000), [])
      expect(readBatchHeader(writer.finish()).compression).toBe(compression)
    },
  )

  test('starts anew after finish and after clear', () => {
    const writer = new RecordBatchWriter()
    writer.add(5, null, Buffer.from('gone'), [])
    writer.clear()
    expect(writer.count).toBe(0)
    writer.add(1, null, Buffer.from('a'), [])
    const first = writer.finish()
    const copy = hex(first)
    writer.add(1, null, Buffer.from('b'), [])
    const second = writer.finish()
    expect(hex(first)).toBe(copy)
    expect(second.length).toBe(first.length)
    expect(decodeBatch(second, place)).toMatchObject([{ offset: 0, valueHex: '62' }])
  })

  test('asserts what only a caller’s mistake can break', () => {
    const writer = new RecordBatchWriter()
    for (const timestampMs of [Number.NaN, 1.5, -2, 2 ** 53]) {
      expect(() => writer.add(timestampMs, null, null, [])).toThrow(AssertionError)
    }
    expect(() => writer.finish()).toThrow(AssertionError)
  })
})
