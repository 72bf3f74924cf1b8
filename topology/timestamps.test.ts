import { describe, expect, test } from 'bun:test'
import { extractorOf, failOnInvalidTimestamp, skipInvalidTimestamp } from './timestamps.ts'

const record = (timestampMs: number, value: unknown = null) => ({
  key: null,
  value,
  timestampMs,
  offset: 7,
  topic: 'orders',
  partition: 3,
})
const invalid = expect.objectContaining({ code: 'TIMESTAMP_INVALID' })

test('T3: fail refuses a negative time, and says where the record is', () => {
  expect(failOnInvalidTimestamp.extract(record(0), -1)).toBe(0)
  expect(() => failOnInvalidTimestamp.extract(record(-1), 5)).toThrow(invalid)
  expect(() => failOnInvalidTimestamp.extract(record(-1), 5)).toThrow('orders-3 at 7')
})

test('T3: skip answers a negative time, which drops the record', () => {
  expect(skipInvalidTimestamp.extract(record(-1), 5)).toBe(-1)
  expect(skipInvalidTimestamp.extract(record(9), 5)).toBe(9)
})

describe('a field of the value', () => {
  const field = extractorOf<{ at: number }>({ field: 'at' })

  test('is the time, whole milliseconds', () => {
    expect(field?.extract(record(1, { at: 1_700_000_000_000 }), -1)).toBe(1_700_000_000_000)
    expect(field?.extract(record(1, { at: 2.9 }), -1)).toBe(2)
  })

  test.each([[null], ['text'], [{}], [{ at: '5' }], [{ at: -1 }], [{ at: Number.NaN }]])(
    '%j has none: refused',
    (value) => {
      expect(() => field?.extract(record(1, value), -1)).toThrow(invalid)
    },
  )
})

test('an extractor of one’s own is taken as it is; none means the application’s', () => {
  const own = { name: 'own', extract: () => 1 }
  expect(extractorOf(own)).toBe(own)
  expect(extractorOf('fail')).toBe(failOnInvalidTimestamp)
  expect(extractorOf('skip')).toBe(skipInvalidTimestamp)
  expect(extractorOf(undefined)).toBeUndefined()
})
