/** What waits for a partition goes in order, in batches that a request takes, under sequences without a gap. */
import { describe, expect, test } from 'bun:test'

import { appendOf, recordsOf, valuesOf } from '../log.contract/records.ts'
import { readBatchHeader } from '../record-batch.ts'
import type { Append } from '../log.ts'
import { PartitionAppends, type PartitionSequence } from './partition-appends.ts'

const PLACE = { topic: 'orders', partition: 0 }
const LARGE = 'x'.repeat(40_000)

function sequenceAt(next: number): PartitionSequence {
  return { identity: { producerId: 5, epoch: 2 }, next }
}

function queueOf(...appends: readonly Append[]): PartitionAppends<{ readonly append: Append }> {
  const queue = new PartitionAppends<{ readonly append: Append }>()
  for (const append of appends) queue.push({ append })
  return queue
}

function several(...values: readonly string[]): Append {
  const bytes = Buffer.concat(values.map((value) => appendOf(PLACE, [value]).bytes))
  return { ...PLACE, bytes, count: values.length }
}

function valuesIn(bytes: Uint8Array): readonly (string | null)[] {
  return valuesOf(recordsOf([{ ...PLACE, bytes, baseOffset: 0, nextOffset: 0 }]))
}

describe('PartitionAppends', () => {
  test('joins small appends, and says of each where it lies', () => {
    const queue = queueOf(appendOf(PLACE, ['a', 'b']), appendOf(PLACE, ['c']))
    const sequence = sequenceAt(10)
    const taken = queue.take(sequence, true)
    expect(valuesIn(taken.bytes)).toEqual(['a', 'b', 'c'])
    expect(readBatchHeader(taken.bytes)).toMatchObject({
      producerId: 5,
      producerEpoch: 2,
      baseSequence: 10,
      transactional: true,
      recordCount: 3,
    })
    expect(queue.written(100, sequence).map(({ appended }) => appended)).toEqual([
      { baseOffset: 100, count: 2 },
      { baseOffset: 102, count: 1 },
    ])
    expect([queue.isEmpty, sequence.next]).toEqual([true, 13])
  })

  test('gives the same batch until it is settled', () => {
    const queue = queueOf(appendOf(PLACE, ['a']))
    const first = queue.take(sequenceAt(0), false)
    queue.push({ append: appendOf(PLACE, ['b']) })
    expect(queue.take(sequenceAt(0), false)).toBe(first)
    expect(first.count).toBe(1)
  })

  test('sequences wrap at 2^31, also inside a batch', () => {
    const sequence = sequenceAt(2 ** 31 - 1)
    const queue = queueOf(appendOf(PLACE, ['a', 'b']), appendOf(PLACE, [LARGE, LARGE]))
    expect(readBatchHeader(queue.take(sequence, false).bytes).baseSequence).toBe(2 ** 31 - 1)
    queue.written(0, sequence)
    expect(sequence.next).toBe(1)
    expect(readBatchHeader(queue.take(sequence, false).bytes).baseSequence).toBe(1)
  })

  test('what is large, or compressed, goes by itself', () => {
    // Long enough to become smaller: what would not, stays plain.
    const zipped = appendOf(PLACE, ['z'.repeat(200)], 'gzip')
    const queue = queueOf(
      appendOf(PLACE, [LARGE]),
      appendOf(PLACE, [LARGE]),
      zipped,
      appendOf(PLACE, ['a']),
    )
    const sequence = sequenceAt(0)
    const counts: number[] = []
    while (!queue.isEmpty) {
      counts.push(queue.take(sequence, false).entries.length)
      queue.written(0, sequence)
    }
    expect(counts).toEqual([1, 1, 1, 1])
  })

  test('an append of several batches is one batch where that is not too large', () => {
    const queue = queueOf(several('a', 'b', 'c'))
    expect(queue.take(sequenceAt(0), false).count).toBe(3)
    expect(queue.written(7, sequenceAt(0))[0]?.appended).toEqual({ baseOffset: 7, count: 3 })
  })

  test('R2: of one that went in parts, the end counts, whoever wrote in between', () => {
    const queue = queueOf(several('a', 'b'))
    const sequence = sequenceAt(0)
    queue.take(sequence, false)
    expect(queue.refused(true)).toBeUndefined()
    expect(valuesIn(queue.take(sequence, false).bytes)).toEqual(['a'])
    expect(queue.written(10, sequence)).toEqual([])
    expect(queue.writtenOfFirst).toBe(1)
    expect(valuesIn(queue.take(sequence, false).bytes)).toEqual(['b'])
    expect(queue.written(15, sequence)[0]?.appended).toEqual({ baseOffset: 14, count: 2 })
  })

  test('what is refused is taken apart until the one that is wrong is alone', () => {
    const queue = queueOf(appendOf(PLACE, ['a']), appendOf(PLACE, ['wrong']), several('b', 'c'))
    const sequence = sequenceAt(0)
    expect(queue.take(sequence, false).count).toBe(2)
    expect(queue.refused(false)).toBeUndefined()
    expect(valuesIn(queue.take(sequence, false).bytes)).toEqual(['a'])
    queue.written(0, sequence)
    expect(valuesIn(queue.take(sequence, false).bytes)).toEqual(['wrong'])
    expect(queue.refused(false)?.append.count).toBe(1)
    // What was refused took no sequence.
    expect(readBatchHeader(queue.take(sequence, false).bytes).baseSequence).toBe(1)
    queue.written(1, sequence)
    expect(queue.isEmpty).toBe(true)
  })

  test('a producer that nobody has made is not written as', () => {
    const nobody = { identity: { producerId: -1, epoch: -1 }, next: 0 }
    expect(() => queueOf(appendOf(PLACE, ['a'])).take(nobody, false)).toThrow('who writes')
  })
})
