/**
 * The same application on Kafka Streams and here, by turns: each goes on where the other stopped, from its offsets and its
 * changelog.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaForTests } from '#kafka-for-tests'
import { createTopic, describeGroup, describeTopic, startJavaClient } from '#kafka-for-tests/tools'
import { openLog, partitionKey, type Log } from '#log'
import { Streams } from '#runtime'
import { systemClock as clock, systemRandom as random } from '#system'
import { bytes, json, string, StreamsBuilder, topic, tumbling, type Topology } from '#topology'
import { ordersFrom } from '../../orders.ts'
import { loadPeerInput, runPeer, servePeer, type PeerCheck } from './peer.ts'

const kafka = await kafkaForTests()
const bootstrap = kafka?.bootstrap ?? ''
const folder = mkdtempSync(join(tmpdir(), 'millrace-takeover-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Of a leg: half a minute of orders, so that every other takeover is in the middle of windows. */
const ORDERS = 3_000
const MINUTE_MS = 60_000
const run = Bun.randomUUIDv7().slice(-12)
const hexOf = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString('hex')

/** Topologies.count of the peer, line by line: the names that Kafka Streams generates follow from the order. */
function countLikeThePeer(applicationId: string, input: string, output: string): Topology {
  const builder = new StreamsBuilder(applicationId, {
    names: 'generated',
    compatibility: 'kafka-streams',
  })
  builder
    .stream(topic(input, { key: string(), value: bytes() }))
    .peek(() => {})
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: MINUTE_MS, graceMs: 5_000 }))
    .count({ store: 'orders-per-minute' })
    .toStream()
    .map((orders, { key, window }) => {
      const { startMs } = window
      const window_end = startMs + MINUTE_MS
      return [key, { item_id: key, window_start: startMs, window_end, orders }]
    })
    .to(topic(output, { key: string(), value: json() }))
  return builder.build()
}

describe.skipIf(kafka === undefined)('an application that changes hands', () => {
  const input = `takeover-orders-${run}`
  let log: Log
  beforeAll(async () => {
    log = await openLog(`kafka://${bootstrap}`, { clock, random })
  })
  afterAll(() => log?.close())

  async function byKafkaStreams(app: string, output: string): Promise<number> {
    const state = join(folder, app)
    // Its own way of ending waits for as many records as the input holds, which another may have read.
    const places = { bootstrap, app, input, output, state, cache: 'off' }
    const serving = await servePeer('count', places)
    while (!(await isCaughtUp(app))) await Bun.sleep(100)
    const { records } = await serving.stop()
    // Kafka Streams does not leave its group: its place is free when its session is over.
    while ((await log.describeGroups([app]))[0]?.state !== 'empty') await Bun.sleep(100)
    return records
  }

  async function isCaughtUp(app: string): Promise<boolean> {
    const places = [0, 1, 2, 3].map((partition) => ({ topic: input, partition }))
    const committed = await log.committedOffsets(app, places)
    const ends = await Promise.all(places.map((place) => log.endOffset(place, 'read-committed')))
    return places.every((place, n) => committed.get(partitionKey(place))?.offset === ends[n])
  }

  async function byMillrace(app: string, output: string): Promise<number> {
    const topology = countLikeThePeer(app, input, output)
    const streams = new Streams(topology, { log, stateDir: join(folder, `${app}-millrace`) })
    let failure: string | undefined
    streams.on('task-failed', ({ error }) => (failure = error))
    await streams.start()
    while ((await streams.lag()).some(({ lagRecords }) => lagRecords > 0)) {
      if (failure !== undefined) throw new Error(failure)
      await Bun.sleep(20)
    }
    await streams.close({ leave: true })
    return streams.metrics.recordsProcessed
  }

  test('Kafka Streams, Millrace, Kafka Streams, Millrace: the results of one that never stopped', async () => {
    const [mixed, alone] = [`takeover-${run}`, `takeover-alone-${run}`]
    const outputs = { mixed: `${mixed}-output`, alone: `${alone}-output` }
    for (const output of Object.values(outputs)) {
      await createTopic({ bootstrap, topic: output, partitions: 4 })
    }
    const processed: number[] = []
    for (const [leg, goOn] of [byKafkaStreams, byMillrace, byKafkaStreams, byMillrace].entries()) {
      await loadPeerInput({ bootstrap, topic: input, orders: ordersFrom(leg * ORDERS, ORDERS) })
      processed.push(await goOn(mixed, outputs.mixed))
    }
    // Nobody has read again what the other had done.
    expect(processed).toEqual([ORDERS, ORDERS, ORDERS, ORDERS])
    expect(await byKafkaStreams(alone, outputs.alone)).toBe(4 * ORDERS)
    const check = (output: string): Promise<PeerCheck> =>
      runPeer('check', { bootstrap, topic: output })
    const expected = await check(outputs.alone)
    expect(expected).toMatchObject({ records: 4 * ORDERS, sumOfLast: 4 * ORDERS })
    expect(await check(outputs.mixed)).toEqual(expected)
    const offsets = await describeGroup({ bootstrap, group: mixed })
    expect(offsets.map(({ topic, lag }) => [topic, lag])).toEqual(
      Array.from({ length: 4 }, () => [input, 0]),
    )
    // Both wrote their changes to one changelog, a record for every order, and so a restore from it is right for both.
    // Made by us alone it has the settings that Kafka Streams gives it, and keeps tombstones for longer (R7).
    const own = `takeover-own-${run}`
    await createTopic({ bootstrap, topic: `${own}-output`, partitions: 4 })
    expect(await byMillrace(own, `${own}-output`)).toBe(4 * ORDERS)
    expect(await check(`${own}-output`)).toEqual(expected)
    const [ours, theirs] = await Promise.all(
      [own, alone].map((app) =>
        describeTopic({ bootstrap, topic: `${app}-orders-per-minute-changelog` }),
      ),
    )
    const kept = { 'delete.retention.ms': String(7 * 86_400_000) }
    expect(ours).toEqual({ partitions: 4, config: { ...theirs?.config, ...kept } })
    await using java = await startJavaClient(bootstrap)
    /** Digests a partition: a record that differs says nothing more here, and thousands of them nothing at all. */
    const changelogOf = async (app: string): Promise<readonly string[]> => {
      const read = await java.read({ topic: `${app}-orders-per-minute-changelog` })
      expect(read).toHaveLength(4 * ORDERS)
      const lines = ['', '', '', '']
      for (const { partition, key, value, timestamp } of read) {
        lines[partition] += `${timestamp} ${hexOf(key)} ${hexOf(value)}\n`
      }
      return lines.map((text) => Bun.hash(text).toString(16))
    }
    expect(await changelogOf(mixed)).toEqual(await changelogOf(alone))
  }, 300_000)
})
