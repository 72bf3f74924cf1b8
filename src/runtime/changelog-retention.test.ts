import { expect, test } from 'bun:test'
import { string, StreamsBuilder, topic, tumbling, windowed } from '#topology'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: windowed(string(), 60_000), value: string() })
const DAY_MS = 86_400_000

/** The repeat of an id and the closing of a minute, each with what came before a task moved, or did not. */
async function countsOf(moves: boolean): Promise<readonly (string | null)[]> {
  const builder = new StreamsBuilder('app')
  builder
    .stream(words)
    .dedupe('seen', { by: (value) => value, withinMs: DAY_MS })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 10_000 }))
    .count('counts', { emit: 'on-close' })
    .toStream()
    .mapValues(String)
    .to(counts)
  const cluster = await TestCluster.of(
    builder.build(),
    ['words', 'counts'].map((name) => ({ topic: name, partitions: 1, config: {} })),
  )
  const agoMs = cluster.clock.nowMs() - 5 * DAY_MS
  const minuteMs = agoMs - (agoMs % 60_000)
  const first = cluster.start({ instanceId: 'first' })
  const append = (...ids: readonly (readonly [id: string, atMs: number])[]): Promise<void> =>
    appendTexts(
      cluster.log,
      'words',
      ids.map(([id, atMs]) => ['a', id, minuteMs + atMs] as const),
    )
  await append(['id-1', 0], ['id-2', 1], ['id-3', 2])
  await cluster.caughtUp()
  await cluster.log.settleMaintenance()
  if (moves) {
    first.worker.stop(true)
    await first.ended
    cluster.start({ instanceId: 'second' })
  }
  await append(['id-1', 100], ['id-4', 200], ['id-5', 80_000])
  await cluster.caughtUp()
  return (await readTexts(cluster.log, 'counts', string())).map(([, value]) => value)
}

test('state of days ago is still there for a task that moves in a catch-up', async () => {
  expect(await countsOf(false)).toEqual(['4'])
  expect(await countsOf(true)).toEqual(['4'])
})
