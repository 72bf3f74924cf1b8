/** What docs/simulation.md shows, run as it stands there. */
import { expect, test } from 'bun:test'
import { long, store, string, StreamsBuilder, topic } from '#topology'
import { inputTo, simulate, type Reference } from '../index.ts'

test('an application of one’s own, in five lines', async () => {
  const orders = topic('orders', { key: string(), value: long() })
  const totals = topic('totals', { key: string(), value: long() })
  const builder = new StreamsBuilder('own')
  builder
    .stream(orders)
    .groupByKey()
    .reduce('sums', (sum, qty) => sum + qty)
    .toStream()
    .to(totals)
  const topology = builder.build()

  for (let seed = 1; seed <= 20; seed += 1) {
    const report = await simulate(topology, {
      seed,
      input: ({ random }) => inputTo(orders, `item-${random.below(3)}`, random.between(1, 5)),
    })
    expect([seed, report.violations]).toEqual([seed, []])
  }
})

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })

function counted(): Reference {
  return () => {
    const seen = new Map<string, number>()
    return {
      take({ key }) {
        const word = new TextDecoder().decode(key ?? new Uint8Array())
        const count = (seen.get(word) ?? 0) + 1
        seen.set(word, count)
        return [inputTo(counts, word, count)]
      },
    }
  }
}

/** Counts, and forgets one in so many. */
function forgetful(every: number): ReturnType<StreamsBuilder['build']> {
  const seen = store('seen', { key: string(), value: long() })
  const builder = new StreamsBuilder('forgetful')
  builder
    .stream(words)
    .processValues('count', { seen }, (_value, { seen }, key) => {
      const count = (seen.get(key) ?? 0) + 1
      if (count % every !== 0) seen.put(key, count)
      return count
    })
    .to(counts)
  return builder.build()
}

test('a reference finds what the engine, held against itself, cannot: a mistake of the program', async () => {
  const input = ({ random }: Parameters<Parameters<typeof simulate>[1]['input']>[0]) =>
    inputTo(words, `key-${random.below(2)}`, 'x')
  const reference = counted()
  const right = await simulate(forgetful(1_000), { seed: 3, input, reference })
  expect(right.violations).toEqual([])
  const wrong = forgetful(3)
  expect((await simulate(wrong, { seed: 3, input })).violations).toEqual([])
  const found = await simulate(wrong, { seed: 3, input, reference })
  expect(found.violations[0]?.check).toBe('reference')
})

test('a topology that is no function of its inputs is found without a reference', async () => {
  let calls = 0
  const builder = new StreamsBuilder('restless')
  builder
    .stream(words)
    .mapValues(() => (calls += 1))
    .to(counts)
  const found = await simulate(builder.build(), {
    seed: 1,
    input: () => inputTo(words, 'a', 'x'),
  })
  expect(found.violations[0]?.check).toBe('outputs')
})
