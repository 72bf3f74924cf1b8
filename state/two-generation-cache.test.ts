import { expect, test } from 'bun:test'
import { TwoGenerationCache } from './two-generation-cache.ts'

test('keeps what was read or set lately, and never more than its maximum', () => {
  const cache = new TwoGenerationCache<number>(8)
  cache.set('kept', -1)
  for (let index = 0; index < 100; index++) {
    cache.set(`k${index}`, index)
    expect(cache.get('kept')).toBe(-1)
    expect(cache.get(`k${index}`)).toBe(index)
    expect(cache.size).toBeLessThanOrEqual(8)
  }
  expect(cache.get('k0')).toBeUndefined()
})

test('a value that was set again is never answered as it was before', () => {
  const cache = new TwoGenerationCache<number>(4)
  cache.set('a', 1)
  cache.set('b', 1)
  cache.set('a', 2)
  cache.set('c', 1)
  cache.set('d', 1)
  expect([2, undefined]).toContain(cache.get('a'))
})

test('a maximum of nothing still works', () => {
  const cache = new TwoGenerationCache<number>(0)
  cache.set('a', 1)
  cache.set('b', 2)
  expect(cache.size).toBeLessThanOrEqual(2)
})

test('a smaller maximum holds at once, a larger one gives room', () => {
  const cache = new TwoGenerationCache<number>(100)
  for (let index = 0; index < 80; index++) cache.set(`k${index}`, index)
  cache.resize(10)
  expect(cache.size).toBeLessThanOrEqual(10)
  cache.resize(100)
  for (let index = 0; index < 40; index++) cache.set(`m${index}`, index)
  expect(cache.get('m0')).toBe(0)
})
