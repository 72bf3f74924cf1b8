import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { FingerprintTable } from './fingerprint-table.ts'

interface Entry {
  readonly low: number
  readonly high: number
  readonly ordinal: number
}

function matches(table: FingerprintTable, low: number, high: number): readonly number[] {
  const found: number[] = []
  table.search(low, high)
  for (let ordinal = table.next(); ordinal >= 0; ordinal = table.next()) found.push(ordinal)
  return found.sort((a, b) => a - b)
}

/** What cannot be told apart: of `high` the top bits are kept, by where an entry is. */
function isAlike(one: Omit<Entry, 'ordinal'>, other: Omit<Entry, 'ordinal'>): boolean {
  return one.low === other.low && one.high >>> 28 === other.high >>> 28
}

test('finds what was added and not removed, whatever collides', () => {
  // Few values, so that homes and whole fingerprints collide and runs wrap around the end of a shard.
  const low = fc.constantFrom(0, 1, 62, 63, 64, 127, 0x7fff_ffff, 0x8000_003f, 0xffff_ffff)
  const high = fc.constantFrom(0, 1, 0xf000_0000, 0xf000_0001)
  const step = fc.record({ adds: fc.nat(3).map((each) => each > 0), low, high })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const table = new FingerprintTable()
      let entries: Entry[] = []
      for (const [ordinal, each] of steps.entries()) {
        if (each.adds) {
          table.add(each.low, each.high, ordinal)
          entries.push({ low: each.low, high: each.high, ordinal })
        } else {
          const gone = entries.find((entry) => isAlike(entry, each))
          table.remove(each.low, each.high, gone?.ordinal ?? 1_000_000)
          entries = entries.filter((entry) => entry !== gone)
        }
        const alike = entries.filter((entry) => isAlike(entry, each))
        const ordinals = alike.map((entry) => entry.ordinal)
        expect(matches(table, each.low, each.high)).toEqual(ordinals)
      }
      for (const entry of entries)
        expect(matches(table, entry.low, entry.high)).toContain(entry.ordinal)
    }),
    { numRuns: 200 },
  )
})

test('grows shard by shard, and holds every entry at three quarters full at most', () => {
  const table = new FingerprintTable()
  const count = 20_000
  for (let ordinal = 0; ordinal < count; ordinal++) {
    table.add(Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`), ordinal)
  }
  expect(table.bytes).toBeGreaterThanOrEqual((count / 0.75) * 8)
  expect(table.bytes).toBeLessThan((count / 0.75) * 8 * 2.5)
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const [low, high] = [Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`)]
    expect(matches(table, low, high)).toContain(ordinal)
  }
})

test('a table made for many entries does not grow on the way there', () => {
  const table = new FingerprintTable(10_000)
  const { bytes } = table
  for (let ordinal = 0; ordinal < 8_000; ordinal++) {
    table.add(Bun.hash.xxHash32(`${ordinal}`), Bun.hash.murmur32v3(`${ordinal}`), ordinal)
  }
  expect(table.bytes).toBe(bytes)
})
