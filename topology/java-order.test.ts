import { describe, expect, test } from 'bun:test'
import { hashOrder, TreeSet } from './java-order.ts'

describe('java.util.HashMap', () => {
  // The hash of "a" is 97, bucket 1 of 16; "b" 98, bucket 2; "q" is 113, bucket 1 as well.
  test('order is by bucket, within a bucket that of addition', () => {
    expect(hashOrder(['b', 'q', 'a'])).toEqual(['q', 'a', 'b'])
    expect(hashOrder(['a', 'b', 'q', 'a'])).toEqual(['a', 'q', 'b'])
  })

  test('the high half of a hash is mixed into its low half', () => {
    // "Aa" and "BB" have one hash, 2112; "polygenelubricants" has −2^31, which spreads to bucket 0 of 16.
    expect(hashOrder(['b', 'polygenelubricants', 'BB', 'Aa'])).toEqual([
      'polygenelubricants',
      'BB',
      'Aa',
      'b',
    ])
  })

  test('13 entries double the table', () => {
    const texts = [...'abcdefghijklq'] // q: bucket 1 of 16, but 17 of 32
    expect(hashOrder(texts.slice(1))[0]).toBe('q')
    expect(hashOrder(texts)).toEqual([...'abcdefghijklq'])
  })
})

describe('java.util.TreeSet', () => {
  test('sorts, whatever the order of addition', () => {
    for (let seed = 1; seed < 50; seed++) {
      const set = new TreeSet<number>((one, other) => one - other)
      const added = Array.from({ length: 40 }, (_, at) => (at * seed * 7919) % 101)
      for (const value of added) set.add(value)
      const sorted = [...new Set(added)].sort((one, other) => one - other)
      expect([...set]).toEqual(sorted)
    }
  })

  test('does not sort again what it has placed', () => {
    const weights = new Map([
      ['a', 1],
      ['b', 2],
    ])
    const weight = (name: string): number => weights.get(name) ?? 0
    const set = new TreeSet<string>((one, other) => weight(one) - weight(other))
    set.add('a')
    set.add('b')
    weights.set('a', 9)
    expect([...set]).toEqual(['a', 'b'])
  })

  test('is balanced as a red-black tree: rotations decide where a later value meets a changed one', () => {
    // 1, 2, 3 rotates 2 to the top. 1 then counts as 10, but 2.5 is compared with 2 and 3 only.
    const weights = new Map([[1, 1]])
    const weight = (value: number): number => weights.get(value) ?? value
    const set = new TreeSet<number>((one, other) => weight(one) - weight(other))
    for (const value of [1, 2, 3]) set.add(value)
    weights.set(1, 10)
    set.add(2.5)
    expect([...set]).toEqual([1, 2, 2.5, 3])
  })
})
