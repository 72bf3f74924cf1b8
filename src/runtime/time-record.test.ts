import { expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { readTimeRecord, timeHeaders } from './time-record.ts'

test('a time record’s bytes are those of the worked example', () => {
  const headers = timeHeaders({
    subTopology: 0,
    partition: 3,
    node: 'tally',
    timeMs: 60_000,
    idle: true,
  })
  const [[name, value] = ['', null]] = headers
  expect(name).toBe('millrace-time')
  expect(Buffer.from(value ?? []).toString('hex')).toBe(
    '0101000000000000ea60000000000000000374616c6c79',
  )
  const raw = {
    buffer: Buffer.alloc(0),
    offset: 0,
    timestampMs: 60_000,
    keyStart: -1,
    keyEnd: -1,
    valueStart: -1,
    valueEnd: -1,
    headerCount: 1,
    headers: () => headers,
  }
  expect(readTimeRecord(raw)).toEqual({
    subTopology: 0,
    partition: 3,
    node: 'tally',
    timeMs: 60_000,
    idle: true,
  })
  expect(readTimeRecord({ ...raw, keyStart: 0 })).toBeUndefined()
  expect(readTimeRecord({ ...raw, headers: () => [['millrace-time', null]] })).toBeUndefined()
})
