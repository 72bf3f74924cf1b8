import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Buffer } from 'node:buffer'

import { coded } from '../log.contract/harness.ts'
import { recordsOf, valuesOf } from '../log.contract/records.ts'
import type { FetchedBatch } from '../log.ts'
import { sealBatch } from '../record-batch.ts'
import { type AbortedTransaction, measureBatches, VisibleBatches } from './read-committed.ts'
import { batchAt, markerAt } from './test-helpers/batches.ts'

const place = { topic: 'orders', partition: 0 }
const A = 7
const B = 8

/** Everything that is left to take, and where the reader then stands. */
function drain(batches: VisibleBatches): { values: (string | null)[]; position: number } {
  const taken: FetchedBatch[] = []
  for (let next = batches.take(); next !== undefined; next = batches.take()) taken.push(next)
  return { values: [...valuesOf(recordsOf(taken))], position: batches.position }
}

function visible(
  records: readonly Buffer[],
  aborted: readonly AbortedTransaction[] | undefined,
  position: number = 0,
): ReturnType<typeof drain> {
  return drain(new VisibleBatches(place, Buffer.concat(records), position, aborted))
}

const of = (producerId: number, baseOffset: number, ...values: string[]): Buffer =>
  batchAt({ baseOffset, producerId, transactional: true }, values)

describe('read committed', () => {
  test('gives committed transactions and plain records, and no markers', () => {
    const records = [
      of(A, 0, 'a0', 'a1'),
      batchAt({ baseOffset: 2 }, ['plain']),
      markerAt(3, A, 'commit'),
      of(B, 4, 'b4'),
      markerAt(5, B, 'commit'),
    ]
    expect(visible(records, [])).toEqual({ values: ['a0', 'a1', 'plain', 'b4'], position: 6 })
  })

  test('leaves out what is aborted, up to its marker and not further', () => {
    const records = [
      of(A, 0, 'lost'),
      of(B, 1, 'b1'),
      markerAt(2, A, 'abort'),
      of(A, 3, 'a3'),
      markerAt(4, A, 'commit'),
      markerAt(5, B, 'commit'),
    ]
    const aborted = [{ producerId: A, firstOffset: 0 }]
    expect(visible(records, aborted)).toEqual({ values: ['b1', 'a3'], position: 6 })
  })

  test('leaves out an aborted transaction whose marker is not in the answer', () => {
    const aborted = [{ producerId: A, firstOffset: 0 }]
    const records = [of(A, 0, 'lost'), of(A, 1, 'lost too'), batchAt({ baseOffset: 2 }, ['plain'])]
    expect(visible(records, aborted)).toEqual({ values: ['plain'], position: 3 })
  })

  test('leaves out the rest of an aborted transaction that began before the answer', () => {
    const aborted = [{ producerId: A, firstOffset: 3 }]
    const records = [of(A, 10, 'lost'), markerAt(11, A, 'abort'), of(A, 12, 'kept')]
    expect(visible(records, aborted, 10)).toEqual({ values: ['kept'], position: 13 })
  })

  test('knows several transactions of one producer apart, in whatever order they are listed', () => {
    const records = [
      of(A, 0, 'lost'),
      markerAt(1, A, 'abort'),
      of(A, 2, 'kept'),
      markerAt(3, A, 'commit'),
      of(A, 4, 'lost'),
      markerAt(5, A, 'abort'),
      of(A, 6, 'lost without a marker'),
    ]
    const aborted = [0, 4, 6].map((firstOffset) => ({ producerId: A, firstOffset }))
    for (const listed of [aborted, aborted.toReversed()]) {
      expect(visible(records, listed)).toEqual({ values: ['kept'], position: 7 })
    }
  })

  test('gives plain records of a producer that also aborts', () => {
    const records = [of(A, 0, 'lost'), batchAt({ baseOffset: 1, producerId: A }, ['plain'])]
    const aborted = [{ producerId: A, firstOffset: 0 }]
    expect(visible(records, aborted)).toEqual({ values: ['plain'], position: 2 })
  })

  test('ends no transaction at a marker that compaction has emptied', () => {
    // The count of records, and the one record itself, are gone; the offsets stay.
    const emptied = markerAt(1, A, 'abort').subarray(0, 61)
    emptied.writeInt32BE(61 - 12, 8)
    emptied.writeInt32BE(0, 57)
    sealBatch(emptied)
    const aborted = [{ producerId: A, firstOffset: 0 }]
    const records = [of(A, 0, 'lost'), emptied, batchAt({ baseOffset: 2 }, ['plain'])]
    expect(visible(records, aborted)).toEqual({ values: ['plain'], position: 3 })
  })

  test('is behind control and aborted batches as soon as what is before them is taken', () => {
    const records = [
      batchAt({ baseOffset: 0 }, ['plain']),
      of(A, 1, 'lost'),
      markerAt(2, A, 'abort'),
    ]
    const aborted = [{ producerId: A, firstOffset: 1 }]
    const batches = new VisibleBatches(place, Buffer.concat(records), 0, aborted)
    expect(batches.position).toBe(0)
    expect(batches.take()).toMatchObject({ baseOffset: 0, nextOffset: 1 })
    expect([batches.position, batches.isDone]).toEqual([3, true])
    const nothing = new VisibleBatches(place, markerAt(4, A, 'commit'), 4, [])
    expect([nothing.position, nothing.isDone]).toEqual([5, true])
  })

  test('gives exactly the committed records, whatever is cut where (model)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ producer: fc.nat(3), step: fc.nat(9), size: fc.nat(2) }), {
          minLength: 1,
          maxLength: 60,
        }),
        fc.infiniteStream(fc.integer({ min: 100, max: 700 })),
        (steps, sizes) => {
          const log = new ModelLog(steps)
          const seen: (string | null)[] = []
          let position = 0
          for (const size of sizes) {
            const answer = log.answer(position, size)
            if (answer === undefined) break
            const batches = new VisibleBatches(place, answer.records, position, answer.aborted)
            const { values, position: next } = drain(batches)
            seen.push(...values)
            expect(next).toBe(measureBatches(answer.records).nextOffset)
            position = next
          }
          expect(position).toBe(log.lastStableOffset)
          expect(seen).toEqual(log.committed)
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('read uncommitted', () => {
  test('gives what is aborted too, and no markers', () => {
    const records = [of(A, 0, 'lost'), markerAt(1, A, 'abort'), of(A, 2, 'open')]
    expect(visible(records, undefined)).toEqual({ values: ['lost', 'open'], position: 3 })
  })
})

describe('the bytes of an answer', () => {
  test('may be cut off in the middle of a batch: that one is asked for again', () => {
    const records = Buffer.concat([of(A, 0, 'a0'), of(A, 1, 'a1')])
    const whole = of(A, 0, 'a0').length
    for (let length = whole; length < records.length; length += 1) {
      const cut = records.subarray(0, length)
      expect(measureBatches(cut)).toEqual({ endAt: whole, nextOffset: 1 })
      expect(drain(new VisibleBatches(place, cut, 0, []))).toEqual({ values: ['a0'], position: 1 })
    }
    expect(measureBatches(records.subarray(0, whole - 1))).toEqual({ endAt: 0, nextOffset: -1 })
  })

  test('may begin with a batch that holds the position, or one wholly below it', () => {
    const records = [of(A, 0, 'a0', 'a1'), of(A, 2, 'a2', 'a3')]
    expect(visible(records, [], 1)).toEqual({ values: ['a0', 'a1', 'a2', 'a3'], position: 4 })
    expect(visible(records, [], 3)).toEqual({ values: ['a2', 'a3'], position: 4 })
  })

  test('may have gaps, where compaction took batches or the ends of them', () => {
    const records = [of(A, 3, 'a3'), of(A, 900, 'a900')]
    expect(visible(records, [], 0)).toEqual({ values: ['a3', 'a900'], position: 901 })
  })

  test('that are damaged are LOG_CORRUPT at the position, after what is before them', () => {
    const second = of(A, 1, 'a1')
    second[64] = (second[64] as number) ^ 1
    const batches = new VisibleBatches(place, Buffer.concat([of(A, 0, 'a0'), second]), 0, [])
    expect(batches.take()).toMatchObject({ baseOffset: 0 })
    expect(batches.isDone).toBe(false)
    for (let n = 0; n < 2; n += 1) {
      expect(() => batches.take()).toThrow(coded('LOG_CORRUPT') as Error)
      expect(() => batches.take()).toThrow('orders-0 at offset 1')
    }
    expect(batches.position).toBe(1)
  })

  test('that go back are LOG_CORRUPT, though no checksum covers the base offset', () => {
    const batches = new VisibleBatches(
      place,
      Buffer.concat([of(A, 5, 'a5', 'a6'), of(A, 6, 'again')]),
      5,
      [],
    )
    expect(batches.take()).toMatchObject({ baseOffset: 5 })
    expect(() => batches.take()).toThrow('orders-0 at offset 7: the next batch says offsets 6 to 6')
  })
})

/** A log of interleaved transactions, and what a broker answers from any place in it. */
class ModelLog {
  readonly committed: string[] = []
  readonly lastStableOffset: number
  readonly #batches: { readonly bytes: Buffer; readonly nextOffset: number }[] = []
  readonly #aborted: (AbortedTransaction & { readonly lastOffset: number })[] = []

  constructor(steps: readonly { producer: number; step: number; size: number }[]) {
    const open = new Map<number, { readonly firstOffset: number; readonly values: string[] }>()
    const byOffset: [number, string][] = []
    const kept = new Set<string>()
    let offset = 0
    const add = (bytes: Buffer, count: number): void => {
      offset += count
      this.#batches.push({ bytes, nextOffset: offset })
    }
    const end = (producerId: number, kind: 'commit' | 'abort'): void => {
      const ended = open.get(producerId)
      if (ended === undefined) return
      open.delete(producerId)
      if (kind === 'commit') for (const value of ended.values) kept.add(value)
      else this.#aborted.push({ producerId, firstOffset: ended.firstOffset, lastOffset: offset })
      add(markerAt(offset, producerId, kind), 1)
    }
    for (const { producer, step, size } of steps) {
      const values = Array.from({ length: size + 1 }, (_, n) => `p${producer}@${offset + n}`)
      for (const [n, value] of values.entries()) if (step < 7) byOffset.push([offset + n, value])
      if (step === 0) {
        for (const value of values) kept.add(value)
        add(batchAt({ baseOffset: offset, producerId: producer }, values), values.length)
      } else if (step < 7) {
        const mine = open.get(producer) ?? { firstOffset: offset, values: [] }
        open.set(producer, mine)
        mine.values.push(...values)
        const at = { baseOffset: offset, producerId: producer, transactional: true }
        add(batchAt(at, values), values.length)
      } else {
        end(producer, step === 7 ? 'commit' : 'abort')
      }
    }
    this.lastStableOffset = Math.min(offset, ...[...open.values()].map((each) => each.firstOffset))
    for (const [at, value] of byOffset) {
      if (at < this.lastStableOffset && kept.has(value)) this.committed.push(value)
    }
  }

  /** At least the first batch, then as many bytes as fit; aborted transactions that reach into what is given. */
  answer(
    position: number,
    size: number,
  ): { readonly records: Buffer; readonly aborted: readonly AbortedTransaction[] } | undefined {
    const stable = this.#batches.filter(({ nextOffset }) => {
      return nextOffset > position && nextOffset <= this.lastStableOffset
    })
    const [first] = stable
    if (first === undefined) return undefined
    const all = Buffer.concat(stable.map(({ bytes }) => bytes))
    const records = all.subarray(0, Math.max(size, first.bytes.length))
    const { nextOffset } = measureBatches(records)
    const aborted = this.#aborted.filter(({ firstOffset, lastOffset }) => {
      return lastOffset >= position && firstOffset < nextOffset
    })
    return {
      records,
      aborted: aborted.map(({ producerId, firstOffset }) => ({ producerId, firstOffset })),
    }
  }
}
