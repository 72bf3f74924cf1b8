import { expect, test } from 'bun:test'

import { partitionFor } from './partitioner.ts'
import { golden } from './test-helpers/golden.ts'

interface PartitionerVectors {
  readonly murmur2: readonly {
    readonly key: string
    readonly murmur2: number
    readonly partition: Readonly<Record<string, number>>
  }[]
  readonly rawBytes: readonly { readonly hex: string; readonly murmur2: number }[]
}

const vectors = await golden<PartitionerVectors>('partitioner')

test('3.5: a key goes to the partition that Kafka’s clients choose', () => {
  expect(vectors.murmur2.length).toBeGreaterThan(100)
  for (const { key, partition } of vectors.murmur2) {
    for (const [count, expected] of Object.entries(partition)) {
      expect([key, count, partitionFor(Buffer.from(key), Number(count))]).toEqual([
        key,
        count,
        expected,
      ])
    }
  }
})

test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('3.5: UtilsTest of Kafka hashes %p to %p', (key, murmur2) => {
  expect(partitionFor(Buffer.from(key), 2 ** 31)).toBe(murmur2 & 0x7fffffff)
})

test('3.5: bytes that are no text are hashed as they are', () => {
  for (const { hex, murmur2 } of vectors.rawBytes) {
    expect(partitionFor(Buffer.from(hex, 'hex'), 2 ** 31)).toBe(murmur2 & 0x7fffffff)
  }
})
