import { describe, expect, test } from 'bun:test'
import { long, string, StreamsBuilder, topic, tumbling, windowed, type Topology } from '#topology'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'
import { writeTopologyRecord } from './topology-record.ts'

const words = topic('words', { key: string(), value: string() })
const minute = tumbling({ sizeMs: 60_000, graceMs: 5_000 })
const totals = topic('totals', { key: windowed(string(), 60_000), value: long() })
const TOPICS = ['words', 'totals', 'upstream-input'].map((name) => ({
  topic: name,
  partitions: 2,
  config: {},
}))

function perMinute(idle: { closeMs: number; after?: string }): Topology {
  const builder = new StreamsBuilder('per-minute')
  builder
    .stream(words, { idle })
    .groupByKey()
    .windowedBy(minute)
    .count('per-minute', { emit: 'on-close' })
    .toStream()
    .to(totals)
  return builder.build()
}

/** An application that exists as far as the log knows: it has told its inputs, and commits what the test says. */
async function upstream(cluster: TestCluster): Promise<{ commit(): Promise<void> }> {
  const builder = new StreamsBuilder('upstream')
  builder.stream(topic('upstream-input', { key: string(), value: string() })).to(words)
  const { log, clock } = cluster
  await log.createTopics([
    { topic: 'upstream-topology', partitions: 1, config: { 'cleanup.policy': 'compact' } },
  ])
  await writeTopologyRecord(log, builder.build(), clock)
  return {
    async commit() {
      const writer = await log.writer({ transactionalId: 'upstream' })
      const places = [0, 1].map((partition) => ({ topic: 'upstream-input', partition }))
      const offsets = await Promise.all(
        places.map(async (place) => ({
          ...place,
          offset: await log.endOffset(place, 'read-committed'),
          metadata: '',
        })),
      )
      await writer.commit({ appends: [], groupId: 'upstream', member: undefined, offsets })
    },
  }
}

const emitted = async (cluster: TestCluster): Promise<number> =>
  (await readTexts(cluster.log, 'totals', long())).length

describe('idle', () => {
  test('windows close on time when nothing arrives any more, also on a partition that never had a record (R9)', async () => {
    const cluster = await TestCluster.of(perMinute({ closeMs: 1_000 }), TOPICS)
    const process = cluster.start()
    const startMs = cluster.clock.nowMs()
    await appendTexts(cluster.log, 'words', [
      ['a', 'x', startMs],
      ['a', 'x', startMs + 10],
    ])
    await cluster.until(async () => (await emitted(cluster)) === 1, 'the minute was closed')
    // Within grace and closeMs and a little of its end.
    expect(cluster.clock.nowMs() - startMs).toBeLessThan(60_000 + 5_000 + 1_000 + 2_000)
    expect(process.worker.counters.ticks).toBeGreaterThan(0)
  })

  test('with `after` they wait while the other application is behind with its own inputs', async () => {
    const cluster = await TestCluster.of(perMinute({ closeMs: 1_000, after: 'upstream' }), TOPICS)
    const other = await upstream(cluster)
    await appendTexts(cluster.log, 'upstream-input', [['b', 'x', 0]])
    cluster.start()
    await appendTexts(cluster.log, 'words', [['a', 'x', cluster.clock.nowMs()]])
    await cluster.pass(180_000)
    expect(await emitted(cluster)).toBe(0)
    await other.commit()
    await cluster.until(async () => (await emitted(cluster)) === 1, 'closed', 5_000)
  })

  test('with `after` an application that never started holds them back', async () => {
    const cluster = await TestCluster.of(perMinute({ closeMs: 1_000, after: 'nobody' }), TOPICS)
    cluster.start()
    await appendTexts(cluster.log, 'words', [['a', 'x', cluster.clock.nowMs()]])
    await cluster.pass(180_000)
    expect(await emitted(cluster)).toBe(0)
  })

  test('after a stop of 14 hours the last minute is emitted once', async () => {
    const cluster = await TestCluster.of(perMinute({ closeMs: 1_000 }), TOPICS)
    const first = cluster.start({ instanceId: 'i' })
    await appendTexts(cluster.log, 'words', [['a', 'x', cluster.clock.nowMs()]])
    await cluster.caughtUp()
    first.worker.stop(false)
    await first.ended
    cluster.clock.advance(14 * 3_600_000)
    cluster.start({ instanceId: 'i' })
    await cluster.until(async () => (await emitted(cluster)) === 1, 'closed')
    await cluster.pass(120_000)
    expect(await emitted(cluster)).toBe(1)
  })
})
