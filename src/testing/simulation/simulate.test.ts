/** A run of a seed: what holds in it, that it is the same again, and that what goes wrong does happen. */
import { expect, test } from 'bun:test'
import { simulate, inputTo, type SimulationReport } from '../index.ts'
import { long, string, StreamsBuilder, topic, type Topology } from '#topology'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const values = topic('values', { key: string(), value: long() })

/** Counts by key, and by value behind a repartition topic. */
function counting(): Topology {
  const builder = new StreamsBuilder('simulated')
  const stream = builder.stream(words)
  stream.groupByKey().count('by-key').toStream().to(counts)
  stream
    .selectKey((value) => value)
    .repartition('value')
    .groupByKey()
    .count('by-value')
    .toStream()
    .to(values)
  return builder.build()
}

function run(seed: number): Promise<SimulationReport> {
  return simulate(counting(), {
    seed,
    input: ({ random }) => inputTo(words, `key-${random.below(5)}`, `value-${random.below(3)}`),
  })
}

test('a seed is a run: the same again gives the same trace', async () => {
  for (const seed of [1, 2, 3]) {
    const [first, again] = [await run(seed), await run(seed)]
    expect(again.traceHash).toBe(first.traceHash)
    expect(again.steps).toBe(first.steps)
  }
})

test('whatever goes wrong, nothing is lost, doubled or torn, and all is done in the end', async () => {
  const fired = new Map<string, number>()
  for (let seed = 1; seed <= 100; seed += 1) {
    const report = await run(seed)
    expect([seed, report.violations]).toEqual([seed, []])
    for (const [what, times] of report.fired) fired.set(what, (fired.get(what) ?? 0) + times)
  }
  for (const what of ['crash', 'pause', 'pause-in-commit', 'commit aborted', 'commit unknown']) {
    expect([what, (fired.get(what) ?? 0) > 0]).toEqual([what, true])
  }
})
