import { expect, test } from 'bun:test'
import { hopping, tumbling } from './windows.ts'

test('tumbling windows advance by their size', () => {
  expect(tumbling({ sizeMs: 10, graceMs: 5 })).toEqual({ sizeMs: 10, advanceMs: 10, graceMs: 5 })
  expect(Object.isFrozen(tumbling({ sizeMs: 1, graceMs: 0 }))).toBe(true)
})

test('semantics 1.9: 0 < advance ≤ size, grace ≥ 0, whole milliseconds', () => {
  const refused = expect.objectContaining({ code: 'OPTION_INVALID' })
  expect(() => tumbling({ sizeMs: 0, graceMs: 0 })).toThrow(refused)
  expect(() => tumbling({ sizeMs: 1.5, graceMs: 0 })).toThrow(refused)
  expect(() => tumbling({ sizeMs: 10, graceMs: -1 })).toThrow(refused)
  expect(() => hopping({ sizeMs: 10, advanceMs: 0, graceMs: 0 })).toThrow(refused)
  expect(() => hopping({ sizeMs: 10, advanceMs: 11, graceMs: 0 })).toThrow(refused)
  expect(hopping({ sizeMs: 10, advanceMs: 10, graceMs: 0 }).advanceMs).toBe(10)
})
