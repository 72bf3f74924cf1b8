import { describe, expect, test } from 'bun:test'
import type { StateStore } from '#state'
import { bytes, string, StreamsBuilder, topic, tumbling, type Topology } from '#topology'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster, type TestProcess } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const MINUTE_MS = 60_000
const SEEN = 'app-seen-changelog'
const COUNTS = 'app-counts-changelog'
const IDS_A_MINUTE = 20

/** Ids are kept for four minutes, windows of a minute for two. */
function topology(compatibility?: 'kafka-streams'): Topology {
  const builder = new StreamsBuilder('app', compatibility && { compatibility })
  builder
    .stream(words)
    .dedupe('seen', { by: (value) => value, withinMs: 4 * MINUTE_MS })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: MINUTE_MS, graceMs: 0 }))
    .count('counts', { retentionMs: 2 * MINUTE_MS })
  return builder.build()
}

function clusterOf(built: Topology): Promise<TestCluster> {
  return TestCluster.of(built, [{ topic: 'words', partitions: 1, config: {} }])
}

/** A minute's ids, a key each, in event time that runs with the minutes and not with the clock. */
async function appendMinute(cluster: TestCluster, minute: number): Promise<void> {
  const records = Array.from({ length: IDS_A_MINUTE }, (_, n) => {
    return [`key-${n}`, `id-${minute}-${n}`, minute * MINUTE_MS + n] as const
  })
  await appendTexts(cluster.log, 'words', records)
  await cluster.caughtUp()
}

async function stop(process: TestProcess): Promise<void> {
  process.worker.stop(true)
  await process.ended
}

/** What a restore would read, values and tombstones. */
async function recordsIn(cluster: TestCluster, changelog: string): Promise<number> {
  await cluster.log.settleMaintenance()
  const records = await readTexts(cluster.log, changelog, bytes())
  return records.filter(([, value]) => value !== null).length
}

async function rowsOf(store: StateStore | undefined): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for await (const rows of store?.scan() ?? []) {
    for (const { key, value } of rows) found.set(key.toHex(), value.toHex())
  }
  return found
}

const activeStore = (process: TestProcess, name: string): StateStore | undefined =>
  [...process.worker.tasks.running.values()][0]?.stores.get(name)?.store

const standbyStore = (process: TestProcess, name: string): StateStore | undefined =>
  [...process.worker.tasks.standbys.values()][0]?.recovery.stores.get(name)?.store

describe('changelogs of windows and dedupe', () => {
  test('hold what their stores hold, however long the application runs', async () => {
    const cluster = await clusterOf(topology())
    const process = cluster.start()
    for (let minute = 0; minute < 40; minute += 1) await appendMinute(cluster, minute)
    // Four minutes and the segment of one that is not over; two minutes and a segment of one.
    expect(await recordsIn(cluster, SEEN)).toBeLessThanOrEqual(6 * IDS_A_MINUTE)
    expect(await recordsIn(cluster, COUNTS)).toBeLessThanOrEqual(4 * IDS_A_MINUTE)
    await stop(process)
    const second = cluster.start()
    await cluster.until(() => second.state === 'running', 'running')
    // Tombstones live on for a week, and are read.
    const restored = second.happenings.filter(({ kind }) => kind === 'restored')
    expect(restored).toHaveLength(2)
    expect((await rowsOf(activeStore(second, 'counts'))).size).toBeLessThan(4 * IDS_A_MINUTE)
    await appendMinute(cluster, 40)
    expect(await recordsIn(cluster, SEEN)).toBeLessThanOrEqual(6 * IDS_A_MINUTE)
  })

  test('get no tombstones where Kafka Streams leaves them to retention', async () => {
    const cluster = await clusterOf(topology('kafka-streams'))
    cluster.start()
    for (let minute = 0; minute < 10; minute += 1) await appendMinute(cluster, minute)
    for (const changelog of [SEEN, COUNTS]) {
      const records = await readTexts(cluster.log, changelog, bytes())
      expect(records).toHaveLength(10 * IDS_A_MINUTE)
      expect(records.filter(([, value]) => value === null)).toEqual([])
    }
  })
})

describe('a standby', () => {
  for (const compatibility of [undefined, 'kafka-streams'] as const) {
    test(`expires what its active task expires, ${compatibility ?? 'by default'}`, async () => {
      const cluster = await clusterOf(topology(compatibility))
      const processes = [cluster.start({ standbys: 1 }), cluster.start({ standbys: 1 })]
      await cluster.until(
        () => processes.every(({ state }) => state === 'running'),
        'both have heard',
      )
      for (let minute = 0; minute < 30; minute += 1) await appendMinute(cluster, minute)
      const active = processes.find(({ tasks }) => tasks.length === 1)
      const standby = processes.find(({ worker }) => worker.tasks.standbys.size === 1)
      if (active === undefined || standby === undefined) throw new TypeError('one each')
      expect(active).not.toBe(standby)
      const counts = await rowsOf(activeStore(active, 'counts'))
      expect(counts.size).toBeGreaterThan(IDS_A_MINUTE)
      await cluster.until(async () => {
        const rows = await rowsOf(standbyStore(standby, 'counts'))
        return Bun.deepEquals(rows, counts)
      }, 'the same windows')
      // Segments: the live ones, and the one whose tombstones are the last that were read.
      const startsOf = async (store: StateStore | undefined): Promise<readonly string[]> =>
        [...(await rowsOf(store)).keys()].filter((key) => key.length === 16)
      const live = await startsOf(activeStore(active, 'seen'))
      const followed = await startsOf(standbyStore(standby, 'seen'))
      expect(followed.slice(-live.length)).toEqual([...live])
      expect(followed.length).toBeLessThanOrEqual(live.length + 1)
    })
  }
})

test('a store that was away while tombstones of windows came and went is rebuilt (R6, R7)', async () => {
  const cluster = await clusterOf(topology())
  const away = cluster.start({ instanceId: 'away' })
  for (let minute = 0; minute < 3; minute += 1) await appendMinute(cluster, minute)
  await stop(away)
  const other = cluster.start({ instanceId: 'other' })
  for (let minute = 3; minute < 12; minute += 1) await appendMinute(cluster, minute)
  // Compacted once, so that the tombstones' week begins; then it is over.
  await cluster.log.settleMaintenance()
  cluster.clock.advance(8 * 86_400_000)
  await cluster.log.settleMaintenance()
  for (const topicName of [SEEN, COUNTS]) {
    const place = { topic: topicName, partition: 0 }
    expect(await cluster.log.tombstonesRemovedBelow(place)).toBeGreaterThan(3 * IDS_A_MINUTE)
  }
  await cluster.until(() => other.tasks.length === 1, 'the member is back')
  await appendMinute(cluster, 12)
  const expected = await rowsOf(activeStore(other, 'counts'))
  await stop(other)
  const back = cluster.start({ instanceId: 'away' })
  await cluster.until(() => back.tasks.length === 1, 'it has the task again')
  const rebuilt = back.happenings.flatMap((happening) =>
    happening.kind === 'store-rebuilt' ? [happening.reason.split(':')[0]] : [],
  )
  expect(rebuilt).toEqual(['too-old', 'too-old'])
  // No window of before lives on as a ghost.
  expect(await rowsOf(activeStore(back, 'counts'))).toEqual(expected)
})
