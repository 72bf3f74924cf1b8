import { describe, expect, test } from 'bun:test'

import { filterBatch } from './filter-batch.ts'
import { appendOf } from './log.contract/records.ts'
import { checkBatch, readBatchHeader, stampOffsets } from './record-batch.ts'
import { decodeBatch } from './test-helpers/decode.ts'
import { batchOf, vectors } from './test-helpers/golden.ts'

const place = { topic: 'orders', partition: 0 }

describe('a filtered batch', () => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))(
    'keeps offset, timestamp and content of every record that stays: %s',
    (_, vector) => {
      const { batch, bytes } = batchOf(vector)
      const all = decodeBatch(bytes, place)
      for (const step of [2, 3]) {
        const keep = (offset: number): boolean => (offset - batch.baseOffset) % step === step - 1
        const filtered = filterBatch(bytes, place, ({ offset }) => keep(offset))
        const expected = all.filter(({ offset }) => keep(offset))
        if (!filtered) {
          expect(expected).toEqual([])
          continue
        }
        checkBatch(filtered, { ...place, offset: batch.baseOffset })
        expect(decodeBatch(filtered, place)).toEqual(expected)
        expect(readBatchHeader(filtered)).toEqual({
          ...readBatchHeader(bytes),
          sizeBytes: filtered.length,
          recordCount: expected.length,
          maxTimestampMs: Math.max(...expected.map(({ timestamp }) => timestamp)),
        })
      }
    },
  )

  test('is itself when everything stays, and nothing when nothing does', () => {
    const { bytes } = appendOf(place, ['a', 'b'])
    stampOffsets(bytes, { baseOffset: 7, leaderEpoch: 0 })
    expect(filterBatch(bytes, place, () => true)).toBe(bytes)
    expect(filterBatch(bytes, place, () => false)).toBeUndefined()
  })

  test('may be filtered again', () => {
    const { bytes } = appendOf(place, ['a', 'b', 'c', 'd'], 'zstd')
    const once = filterBatch(bytes, place, ({ offset }) => offset > 0) as Uint8Array
    const twice = filterBatch(once, place, ({ offset }) => offset !== 2) as Uint8Array
    expect(decodeBatch(twice, place).map(({ offset }) => offset)).toEqual([1, 3])
  })
})
