import { describe, expect, test } from 'bun:test'
import { RowSample } from './row-sample.ts'
import { put, remove } from './store.contract/fixtures.ts'

function sampleOf(rows: number): RowSample {
  const sample = new RowSample(undefined)
  for (let index = 0; index < rows; index += 1) sample.add(put(`key-${index}`, '12345'))
  return sample
}

describe('a sample of the rows', () => {
  test('counts up to 4,096 rows exactly, however often they are written and removed', () => {
    const sample = sampleOf(4_000)
    for (let index = 0; index < 4_000; index += 1) sample.add(put(`key-${index}`, '1'))
    for (let index = 0; index < 1_000; index += 1) sample.add(remove(`key-${index}`))
    for (let index = 0; index < 1_000; index += 1) sample.add(remove(`never-${index}`))
    expect(sample.size().rows).toBe(3_000)
  })

  test('counts a million within a tenth, in the memory of a few thousand', () => {
    const sample = sampleOf(1_000_000)
    expect(sample.size().rows / 1_000_000).toBeCloseTo(1, 1)
    expect(sample.encode().length).toBeLessThan(33_000)
  })

  test('comes back as it was, and is due again after as many changes as it holds', () => {
    const sample = sampleOf(10_000)
    const before = sample.size()
    expect(sample.isDue).toBe(true)
    const again = new RowSample(sample.encode())
    expect(again.size()).toEqual(before)
    expect([sample.isDue, sample.isDirty, again.isDirty]).toEqual([false, false, false])
    again.add(put('key-0', '12345'))
    expect(again.size()).toEqual(before)
    expect([again.isDue, again.isDirty]).toEqual([false, true])
  })
})
