import { expect, test } from 'bun:test'
import { long, string } from './primitive-serdes.ts'
import { serdesOf, topic } from './topic.ts'

test('a topic encodes a record as a sink would; null is the absence of bytes', () => {
  const counts = topic('counts', { key: string(), value: long() })
  const { key, value } = counts.encode('a', 1)
  expect(key?.toHex()).toBe('61')
  expect(value?.toHex()).toBe('0000000000000001')
  expect(counts.encode(null, null)).toEqual({ key: null, value: null })
})

test('NAME_INVALID: a topic has a legal name', () => {
  const refused = expect.objectContaining({ code: 'NAME_INVALID' })
  expect(() => topic('a b', { key: string(), value: long() })).toThrow(refused)
})

test('a sink takes only topics that topic() made', () => {
  const refused = expect.objectContaining({ code: 'OPTION_INVALID' })
  const made = { name: 'n', encode: () => ({ key: null, value: null }) }
  expect(() => serdesOf(made)).toThrow(refused)
})
