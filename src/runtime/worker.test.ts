import { describe, expect, test } from 'bun:test'
import { long, string, StreamsBuilder, topic, type Topology } from '#topology'
import { appendTexts, readPartitions } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })

function counter(): Topology {
  const builder = new StreamsBuilder('counter')
  builder.stream(words).groupByKey().count('word-counts').toStream().to(counts)
  return builder.build()
}

const TOPICS = [
  { topic: 'words', partitions: 4, config: {} },
  { topic: 'counts', partitions: 4, config: {} },
]
const KEYS = Array.from({ length: 10 }, (_, index) => `key-${index}`)

async function newCluster(): Promise<TestCluster> {
  return TestCluster.of(counter(), TOPICS)
}

async function appendRound(cluster: TestCluster, rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await appendTexts(
      cluster.log,
      'words',
      KEYS.map((key) => [key, 'x', cluster.clock.nowMs()]),
    )
  }
}

/** Every key was counted up from 1 without a gap or a repeat: each record had its effect exactly once. */
async function expectCounted(cluster: TestCluster, rounds: number): Promise<void> {
  const found = new Map<string, (number | null)[]>()
  for (const [key, count] of (await readPartitions(cluster.log, 'counts', long())).flat()) {
    found.set(key, [...(found.get(key) ?? []), count])
  }
  const expected = Array.from({ length: rounds }, (_, round) => round + 1)
  for (const key of KEYS) expect([key, found.get(key)]).toEqual([key, expected])
}

describe('a worker', () => {
  test('starts, stops, and goes on with the state it had', async () => {
    const cluster = await newCluster()
    const first = cluster.start({ instanceId: 'i' })
    await appendRound(cluster, 3)
    await cluster.caughtUp()
    first.worker.stop(false)
    await first.ended
    expect(first.error).toBeUndefined()

    const second = cluster.start({ instanceId: 'i' })
    await appendRound(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
    // The store was where the changelog ends: nothing had to be read again.
    expect(second.worker.tasks.restoredRecords).toBe(0)
    expect(second.saw('store-rebuilt')).toBe(0)
  })

  test('that crashed is followed by one with equal results, from the stores it left', async () => {
    const cluster = await newCluster()
    const first = cluster.start({ instanceId: 'i' })
    await appendRound(cluster, 3)
    await cluster.until(() => first.worker.counters.commits > 0, 'a commit')
    await first.crash()
    await appendRound(cluster, 2)
    cluster.start({ instanceId: 'i' })
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
  })

  test('restores everything where the stores were lost with the disk', async () => {
    const cluster = await newCluster()
    const first = cluster.start({ instanceId: 'old' })
    await appendRound(cluster, 3)
    await cluster.caughtUp()
    first.worker.stop(true)
    await first.ended
    const second = cluster.start({ instanceId: 'new' })
    await appendRound(cluster, 2)
    await cluster.caughtUp()
    await expectCounted(cluster, 5)
    expect(second.worker.tasks.restoredRecords).toBeGreaterThan(0)
  })
})
