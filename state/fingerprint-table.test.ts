import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FingerprintTable } from './fingerprint-table.ts'

interface Entry {
  readonly low: number
  readonly high: number
  readonly time: number
  readonly ordinal: number
}

function matches(table: FingerprintTable, low: number, high: number): readonly Entry[] {
  const found: Entry[] = []
  table.search(low, high)
  for (let ordinal = table.next(); ordinal >= 0; ordinal = table.next()) {
    found.push({ low, high, time: table.matchTime, ordinal })
  }
  return found.sort((a, b) => a.ordinal - b.ordinal)
}

test('finds what was added and not removed, whatever collides', () => {
  // Few values, so that homes and whole fingerprints collide and runs wrap around the end of a shard.
  const low = fc.constantFrom(0, 1, 62, 63, 64, 127, 0x7fff_ffff, 0x8000_003f, 0xffff_ffff)
  const high = fc.constantFrom(0, 1, 0xf000_0000, 0xf000_0001)
  const step = fc.record({ adds: fc.nat(3).map((each) => each > 0), low, high, time: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const table = new FingerprintTable()
      let entries: Entry[] = []
      for (const [ordinal, each] of steps.entries()) {
        if (each.adds) {
          table.add(each.low, each.high, each.time, ordinal)
          entries.push({ low: each.low, high: each.high, time: each.time, ordinal })
        } else {
          const gone = entries.find(({ low: l, high: h }) => l === each.low && h === each.high)
          table.remove(each.low, each.high, gone?.ordinal ?? 1_000_000)
          entries = entries.filter((entry) => entry !== gone)
        }
        const same = entries.filter(({ low: l, high: h }) => l === each.low && h === each.high)
        expect(matches(table, each.low, each.high)).toEqual(same)
      }
      for (const entry of entries)
        expect(matches(table, entry.low, entry.high)).toContainEqual(entry)
    }),
    { numRuns: 200 },
  )
})

test('grows shard by shard, and holds every entry at three quarters full at most', () => {
  const table = new FingerprintTable()
  const count = 20_000
  for (let ordinal = 0; ordinal < count; ordinal++) {
    table.add(Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`), ordinal, ordinal)
  }
  expect(table.bytes).toBeGreaterThanOrEqual((count / 0.75) * 16)
  expect(table.bytes).toBeLessThan((count / 0.75) * 16 * 2.5)
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const [low, high] = [Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`)]
    expect(matches(table, low, high)).toContainEqual({ low, high, time: ordinal, ordinal })
  }
})

test('a table made for many entries does not grow on the way there', () => {
  const table = new FingerprintTable(10_000)
  const { bytes } = table
  for (let ordinal = 0; ordinal < 8_000; ordinal++) {
    table.add(Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`), 0, ordinal)
  }
  expect(table.bytes).toBe(bytes)
})
