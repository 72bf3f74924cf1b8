import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { SortedKeys } from './sorted-keys.ts'
import { numbers } from './store.contract/fixtures.ts'

test('whatever comes and goes, slices are what sorting and filtering would give', () => {
  const key = fc.option(fc.nat({ max: 99_999 }), { nil: undefined })
  const steps = fc.array(
    fc.record({
      seed: fc.integer(),
      changes: fc.constantFrom(0, 1, 5, 300, 3_000),
      from: key,
      to: key,
      keysMax: fc.constantFrom(0, 1, 10, 2_000, Infinity),
      reverse: fc.boolean(),
    }),
    { minLength: 5, maxLength: 20 },
  )
  const name = (number: number): string => String(number).padStart(5, '0')
  fc.assert(
    fc.property(steps, (plan) => {
      const owner = new Map<string, number>()
      const keys = new SortedKeys(owner)
      for (const { seed, changes, keysMax, reverse, ...bounds } of plan) {
        const next = numbers(seed)
        for (let left = changes; left > 0; left -= 1) {
          const changed = name(Math.floor(next() * 20_000))
          const isGain = next() < 0.6
          if (isGain === owner.has(changed)) continue
          if (isGain) owner.set(changed, 1)
          else owner.delete(changed)
          keys.note(changed)
        }
        const from = bounds.from === undefined ? undefined : name(bounds.from % 20_000)
        const to = bounds.to === undefined ? undefined : name(bounds.to % 20_000)
        const wanted = [...owner.keys()]
          .filter((one) => (from === undefined || one >= from) && (to === undefined || one < to))
          .sort()
        const ordered = reverse ? wanted.toReversed() : wanted
        expect(keys.slice(from, to, keysMax, reverse)).toEqual(ordered.slice(0, keysMax))
      }
    }),
    { numRuns: 60 },
  )
})

test('runs of keys that come and go fill, split and empty chunks, without sorting anew', () => {
  const owner = new Map<string, number>()
  const keys = new SortedKeys(owner)
  const next = numbers(7)
  const change = (number: number, isGain: boolean): void => {
    const key = String(number).padStart(6, '0')
    if (isGain === owner.has(key)) return
    if (isGain) owner.set(key, 1)
    else owner.delete(key)
    keys.note(key)
  }
  for (let number = 0; number < 80_000; number += 10) change(number, true)
  for (let step = 0; step < 300; step += 1) {
    const start = Math.floor(next() * 70_000)
    const isGain = next() < 0.5
    const run = isGain ? 600 : 6_000
    for (let number = start; number < start + run; number += 1) {
      change(number, isGain)
      if (number % 400 === 0) keys.slice('', undefined, 1, false)
    }
    const wanted = [...owner.keys()].sort()
    expect(keys.slice(undefined, undefined, Infinity, false)).toEqual(wanted)
    expect(keys.slice(undefined, '035000', 5, true)).toEqual(
      wanted
        .filter((key) => key < '035000')
        .toReversed()
        .slice(0, 5),
    )
  }
})
