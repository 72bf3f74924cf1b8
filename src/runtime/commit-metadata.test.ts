import { describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import {
  decodeMetadata,
  encodeMetadata,
  metadataCharacters,
  shortNames,
} from './commit-metadata.ts'

/** `bytes/committed-metadata.json` of the golden vectors: Kafka Streams' own code wrote these. */
const encoded: readonly [number, Record<string, number>, string][] = [
  [-1, {}, 'Av//////////'],
  [-1, { store: 5 }, 'Av//////////AAAAAQAAAAVzdG9yZQAAAAAAAAAF'],
  [-1, { ключ: -1 }, 'Av//////////AAAAAQAAAAjQutC70Y7Rh///////////'],
  [0, {}, 'AgAAAAAAAAAA'],
  [0, { store: 5 }, 'AgAAAAAAAAAAAAAAAQAAAAVzdG9yZQAAAAAAAAAF'],
  [1, {}, 'AgAAAAAAAAAB'],
  [
    1700000000000,
    { 'KSTREAM-AGGREGATE-STATE-STORE-0000000001': 1700000000000 },
    'AgAAAYvP5WgAAAAAAQAAAChLU1RSRUFNLUFHR1JFR0FURS1TVEFURS1TVE9SRS0wMDAwMDAwMDAxAAABi8/laAA=',
  ],
  [1700000000000, { ключ: -1 }, 'AgAAAYvP5WgAAAAAAQAAAAjQutC70Y7Rh///////////'],
]

describe('metadata of a committed offset is Kafka Streams’ own (3.2)', () => {
  test.each(encoded)('partition time %d with %o', (partitionTimeMs, names, base64) => {
    const times = new Map(Object.entries(names))
    expect(encodeMetadata({ partitionTimeMs, times })).toBe(base64)
    expect(decodeMetadata(base64)).toEqual({ partitionTimeMs, times })
  })

  test.each([
    ['', -1],
    ['AQAAAAAAAATS', 1234],
    ['!!!!', -1],
    ['CQA=', -1],
    ['AgAAAAAAAABN', 77],
  ])('the odd text %p decodes to partition time %d', (base64, partitionTimeMs) => {
    expect(decodeMetadata(base64)).toEqual({ partitionTimeMs, times: new Map() })
  })

  test('its size is known from the names alone', () => {
    for (const names of [['a'], ['é', 'store'], ['x'.repeat(100), 'y', 'z'.repeat(17)]]) {
      const times = new Map(names.map((name) => [name, Number.MAX_SAFE_INTEGER]))
      expect(metadataCharacters(names)).toBe(encodeMetadata({ partitionTimeMs: 1, times }).length)
    }
  })

  test('a text cut at any byte is unknown or whole, never a crash', () => {
    const whole = encodeMetadata({
      partitionTimeMs: 7,
      times: new Map([
        ['a', 1],
        ['b', 2],
      ]),
    })
    const bytes = Buffer.from(whole, 'base64')
    for (let end = 0; end < bytes.length; end++) {
      const { partitionTimeMs } = decodeMetadata(bytes.toString('base64', 0, end))
      expect([-1, 7]).toContain(partitionTimeMs)
    }
  })

  test('short names are four characters, distinct, and a function of the set of names (R21)', () => {
    const names = Array.from({ length: 20_000 }, (_, n) => `node-${n}`)
    const shortOf = shortNames(names)
    expect(new Set(shortOf.values()).size).toBe(20_000)
    expect([...shortOf.values()].every((short) => short.length === 4)).toBe(true)
    expect(shortNames(names.toReversed())).toEqual(shortOf)
  })
})
