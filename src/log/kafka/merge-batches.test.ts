/** Joined batches hold the records of their parts, whatever those are. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'

import { appendOf, type PlainRecord, recordsOf } from '../log.contract/records.ts'
import { checkBatch, readBatchHeader, stampProducer } from '../record-batch.ts'
import { isMergeable, mergeBatches, offsetsIn } from './merge-batches.ts'

const PLACE = { topic: 'orders', partition: 0 }
const producer = { producerId: 7, epoch: 1, baseSequence: 3, transactional: false }

const text = fc.option(fc.string({ maxLength: 200 }))
const record: fc.Arbitrary<PlainRecord> = fc.record({
  key: text,
  value: text,
  timestampMs: fc.oneof(
    fc.integer({ min: -1, max: 3 }),
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
    fc.constant(253_402_300_799_999),
  ),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.constant(null)), { maxLength: 3 }),
})

test('one batch out of several: the same records, one after the other', () => {
  const parts = fc.array(fc.array(record, { minLength: 1, maxLength: 90 }), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(parts, (batches) => {
      const merged = mergeBatches(batches.map((records) => appendOf(PLACE, records).bytes))
      stampProducer(merged, producer)
      checkBatch(merged, { ...PLACE, offset: 0 })
      const whole = appendOf(PLACE, batches.flat()).bytes
      const place = { ...PLACE, baseOffset: 0, nextOffset: batches.flat().length }
      expect(recordsOf([{ ...place, bytes: merged }])).toEqual(
        recordsOf([{ ...place, bytes: whole }]),
      )
      stampProducer(whole, producer)
      expect(readBatchHeader(merged)).toEqual(readBatchHeader(whole))
      // Records are written in the shortest form, so equal records are equal bytes.
      expect(Buffer.from(merged).equals(whole)).toBe(true)
      expect(offsetsIn(merged)).toBe(batches.flat().length)
    }),
    { numRuns: 300 },
  )
})

test('what is compressed is not joined', () => {
  // Long enough to shrink: a batch that compression would make longer stays plain.
  const long = ['a'.repeat(200)]
  expect(isMergeable(appendOf(PLACE, long).bytes)).toBe(true)
  expect(isMergeable(appendOf(PLACE, long, 'zstd').bytes)).toBe(false)
})
