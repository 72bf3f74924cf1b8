import { describe, expect, test } from 'bun:test'
import { long, store, string, StreamsBuilder, topic, type Topology } from '#topology'
import { appendTexts, readPartitions, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const upper = topic('upper', { key: string(), value: string() })
const TOPICS = ['words', 'counts', 'upper'].map((name) => ({
  topic: name,
  partitions: 3,
  config: {},
}))

/** Counted by value: through a repartition topic, so in two sub-topologies. */
function countByValue(): Topology {
  const builder = new StreamsBuilder('by-value')
  builder
    .stream(words)
    .selectKey((value) => value)
    .repartition('by-value')
    .groupByKey()
    .count('value-counts')
    .toStream()
    .to(counts)
  return builder.build()
}

describe('several sub-topologies', () => {
  test('count once what goes through a repartition topic, whoever runs which part', async () => {
    const cluster = await TestCluster.of(countByValue(), TOPICS)
    cluster.start()
    cluster.start()
    const colors = ['red', 'green', 'blue', 'black', 'white']
    for (let round = 0; round < 20; round += 1) {
      await appendTexts(
        cluster.log,
        'words',
        colors.map((color, index) => [`key-${round * 5 + index}`, color] as const),
      )
      if (round === 10) cluster.start()
    }
    await cluster.caughtUp()
    const found = await readTexts(cluster.log, 'counts', long())
    for (const color of colors) {
      expect(found.filter(([key]) => key === color).map(([, count]) => count)).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 1),
      )
    }
  })

  test('a task with no store, and so no changelog, recovers from its offsets alone', async () => {
    const builder = new StreamsBuilder('stateless')
    builder
      .stream(words)
      .mapValues((value) => value.toUpperCase())
      .to(upper)
    const cluster = await TestCluster.of(builder.build(), TOPICS)
    const first = cluster.start({ instanceId: 'i' })
    const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)
    const append = (): Promise<void> =>
      appendTexts(
        cluster.log,
        'words',
        keys.map((key) => [key, 'x'] as const),
      )
    await append()
    await cluster.until(() => first.worker.counters.commits > 0, 'a commit')
    await first.crash()
    await append()
    cluster.start({ instanceId: 'i' })
    await cluster.caughtUp()
    const found = await readPartitions(cluster.log, 'upper', string())
    expect(found.flat().filter(([, value]) => value === 'X').length).toBe(24)
    expect(found.flat().length).toBe(24)
  })

  test('a store without a changelog goes on where the disk is kept', async () => {
    const latest = store('latest', { key: string(), value: string(), logged: false })
    const builder = new StreamsBuilder('unlogged')
    builder
      .stream(words)
      .processValues('remember', { latest }, (value, { latest }, key) => {
        const before = latest.get(key) ?? ''
        latest.put(key, before + value)
        return before + value
      })
      .to(upper)
    const cluster = await TestCluster.of(builder.build(), TOPICS)
    const first = cluster.start({ instanceId: 'i' })
    await appendTexts(cluster.log, 'words', [['k', 'a']])
    await cluster.caughtUp()
    first.worker.stop(false)
    await first.ended
    cluster.start({ instanceId: 'i' })
    await appendTexts(cluster.log, 'words', [['k', 'b']])
    await cluster.caughtUp()
    expect(await readTexts(cluster.log, 'upper', string())).toEqual([
      ['k', 'a'],
      ['k', 'ab'],
    ])
    expect(cluster.counts.has('unlogged-latest-changelog')).toBe(false)
  })
})
