/** The application of the fault tests: it counts words by key, so a lost, doubled or torn effect shows in what it wrote. */
import { expect } from 'bun:test'
import type { TopicSpec } from '#log'
import { long, string, StreamsBuilder, topic, type Topology } from '#topology'
import { appendTexts, readPartitions } from './log-texts.ts'
import { TestCluster } from './test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })

export const COUNTED_KEYS: readonly string[] = Array.from({ length: 10 }, (_, n) => `key-${n}`)
export const COUNTING_TOPICS: readonly TopicSpec[] = [
  { topic: 'words', partitions: 4, config: {} },
  { topic: 'counts', partitions: 4, config: {} },
]

export function countingTopology(): Topology {
  const builder = new StreamsBuilder('counter')
  builder.stream(words).groupByKey().count('word-counts').toStream().to(counts)
  return builder.build()
}

export function countingCluster(): Promise<TestCluster> {
  return TestCluster.of(countingTopology(), COUNTING_TOPICS)
}

/** Every key once a round. */
export async function appendRounds(cluster: TestCluster, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const records = COUNTED_KEYS.map((key) => [key, 'x', cluster.clock.nowMs()] as const)
    await appendTexts(cluster.log, 'words', records)
  }
}

/** Every key was counted up from 1 without a gap or a repeat: each record had its effect exactly once. */
export async function expectCounted(cluster: TestCluster, rounds: number): Promise<void> {
  const found = new Map<string, (number | null)[]>()
  for (const [key, count] of (await readPartitions(cluster.log, 'counts', long())).flat()) {
    found.set(key, [...(found.get(key) ?? []), count])
  }
  const expected = Array.from({ length: rounds }, (_, round) => round + 1)
  for (const key of COUNTED_KEYS) expect([key, found.get(key)]).toEqual([key, expected])
}
