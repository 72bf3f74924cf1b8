import { expect, test } from 'bun:test'
import { OffsetMap } from './offset-map.ts'

function mapOf(...segments: readonly (readonly [number, number, number])[]): OffsetMap {
  const map = new OffsetMap()
  for (const [source, target, count] of segments) map.add(source, target, count)
  return map
}

test('what lies together on both sides is one segment', () => {
  expect(mapOf([100, 0, 5], [105, 5, 5]).segments).toBe(1)
  // A gap on either side ends it.
  expect(mapOf([100, 0, 5], [106, 5, 5]).segments).toBe(2)
  expect(mapOf([100, 0, 5], [105, 6, 5]).segments).toBe(2)
})

// Source 10–12 and 20–21 lie at 0–2 and 4–5 of the target.
const gaps = mapOf([10, 0, 3], [20, 4, 2])

test.each([
  [9, undefined, 0, 0],
  [10, 0, 0, 0],
  [12, 2, 2, 2],
  [13, undefined, 3, 4],
  [19, undefined, 3, 4],
  [20, 4, 3, 4],
  [21, 5, 5, 5],
  [22, undefined, 6, undefined],
  [99, undefined, 6, undefined],
])('offset %i: record, next position, next record', (source, record, position, from) => {
  expect(gaps.recordAt(source)).toBe(record)
  expect(gaps.position(source)).toBe(position)
  expect(gaps.recordFrom(source)).toBe(from)
})

test('a position stays what it was when more is added behind it', () => {
  const map = mapOf([0, 0, 3])
  expect(map.position(3)).toBe(3)
  map.add(3, 7, 1)
  expect(map.position(3)).toBe(3)
  expect(map.recordFrom(3)).toBe(7)
})

test('an empty map begins at the beginning', () => {
  const map = new OffsetMap()
  expect([map.position(5), map.recordAt(5), map.recordFrom(5)]).toEqual([0, undefined, undefined])
  expect([map.sourceEnd, map.targetEnd, map.isTarget(0)]).toEqual([0, 0, false])
})

test('targets are known one by one', () => {
  expect([-1, 0, 2, 3, 4, 5, 6].filter((target) => gaps.isTarget(target))).toEqual([0, 2, 4, 5])
})
