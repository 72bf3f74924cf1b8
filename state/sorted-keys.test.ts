import { expect, test } from 'bun:test'
import fc from 'fast-check'
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
        if (reverse) wanted.reverse()
        expect(keys.slice(from, to, keysMax, reverse)).toEqual(wanted.slice(0, keysMax))
      }
    }),
    { numRuns: 60 },
  )
})
