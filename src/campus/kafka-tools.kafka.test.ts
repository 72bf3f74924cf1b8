/** What Kafka's own tools show of campus, and what they may change: its groups, their offsets, its internal topics. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  openLog,
  partitionFor,
  RecordBatchWriter,
  Streams,
  systemClock as clock,
  systemRandom as random,
  type Log,
} from '#millrace'
import { kafkaForTests, startCluster, type Cluster } from '#kafka-for-tests'
import {
  describeGroup,
  describeTopic,
  groupState,
  resetOffsets,
  runTool,
} from '#kafka-for-tests/tools'
import { inventoryTopology } from './inventory.ts'
import { orderOf, restockOf } from './test-helper/records.ts'
import { readRecords } from './test-helper/read-records.ts'
import { campusTopics, inventoryEvents, orders, stock } from './topics.ts'

const kafka = await kafkaForTests()
const GROUP = 'campus-inventory'
const PARTITIONS = 2
const LONG_MS = 180_000
/** So many that every partition has some. */
const ITEMS = Array.from({ length: 8 }, (_, n) => `item-${n}`)

describe.skipIf(kafka === undefined)("campus and Kafka's own tools", () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-campus-tools-'))
  let cluster: Cluster
  let log: Log
  let bootstrap: string
  let ids = 0

  // Its topics are campus's own names: a cluster of its own, so that no other test has them.
  beforeAll(async () => {
    cluster = await startCluster()
    bootstrap = cluster.bootstrap
    log = await openLog(`kafka://${bootstrap}`, { clock, random })
    await log.createTopics(campusTopics(PARTITIONS))
    const restocks = ITEMS.map((item) => {
      const { key, value } = stock.encode(item, restockOf(`seed-${item}`, item, 1_000))
      return [key, value] as const
    })
    await append(stock.name, restocks)
  }, LONG_MS)
  afterAll(async () => {
    await log?.close()
    await cluster?.down()
    rmSync(folder, { recursive: true })
  })

  async function append(
    topic: string,
    records: readonly (readonly [Uint8Array | null, Uint8Array | null])[],
  ): Promise<void> {
    const batches = Array.from({ length: PARTITIONS }, () => new RecordBatchWriter())
    for (const [key, value] of records) {
      batches[partitionFor(key ?? new Uint8Array(), PARTITIONS)]?.add(clock.nowMs(), key, value, [])
    }
    const writer = await log.writer()
    for (const [partition, batch] of batches.entries()) {
      const { count } = batch
      if (count > 0) await writer.append({ topic, partition, bytes: batch.finish(), count })
    }
    await writer.close()
  }

  async function order(count: number): Promise<void> {
    const placed = Array.from({ length: count }, () => {
      const item = ITEMS[ids % ITEMS.length] as string
      const { key, value } = orders.encode(item, orderOf(`o${ids++}`, item, 1, clock.nowMs()))
      return [key, value] as const
    })
    await append(orders.name, placed)
  }

  /** Runs inventory until it has nothing left to do. */
  async function run(whileRunning: () => Promise<void> = async () => {}): Promise<number> {
    const streams = new Streams(inventoryTopology, { log, stateDir: folder })
    let failure: string | undefined
    streams.on('task-failed', ({ error }) => (failure ??= error))
    try {
      await streams.start()
      while ((await streams.lag()).some(({ lagRecords }) => lagRecords > 0)) {
        if (failure !== undefined) throw new Error(failure)
        await Bun.sleep(20)
      }
      if (failure !== undefined) throw new Error(failure)
      await whileRunning()
    } finally {
      await streams.close({ leave: true })
    }
    return streams.metrics.recordsProcessed
  }

  const events = async (): Promise<readonly unknown[]> =>
    (await readRecords(log, inventoryEvents.name)).map(({ value }) => value)

  test(
    'its group is shown with its topics, offsets and lag, running and stopped',
    async () => {
      await order(40)
      await run(async () => {
        expect(await groupState({ bootstrap, group: GROUP })).toMatchObject({
          state: 'Stable',
          members: 1,
        })
        const rows = await describeGroup({ bootstrap, group: GROUP })
        expect(new Set(rows.map(({ topic }) => topic))).toEqual(
          new Set([orders.name, stock.name, `${GROUP}-orders-by-id-repartition`]),
        )
        expect(rows).toHaveLength(3 * PARTITIONS)
        for (const { topic, lag, consumerId } of rows) {
          // Kafka counts the marker at the end of a transaction as lag, of every transactional topic and for every group.
          expect(lag).toBeLessThanOrEqual(topic.endsWith('-repartition') ? 1 : 0)
          expect(consumerId).toBeDefined()
        }
      })
      expect(await events()).toHaveLength(40)
      await order(7)
      const stopped = await describeGroup({ bootstrap, group: GROUP })
      const ofOrders = stopped.filter(({ topic }) => topic === orders.name)
      expect(ofOrders.reduce((sum, { lag = 0 }) => sum + lag, 0)).toBe(7)
      expect((await groupState({ bootstrap, group: GROUP })).state).toBe('Empty')
    },
    LONG_MS,
  )

  test(
    'offsets that are set back are obeyed: orders are read again, and decided once all the same',
    async () => {
      await run()
      const before = await events()
      expect(before).toHaveLength(47)
      await resetOffsets({ bootstrap, group: GROUP }, orders.name, { to: 'earliest' })
      // All 47 are read again; `orders-seen` knows them.
      expect(await run()).toBe(47)
      expect(await events()).toEqual(before)
    },
    LONG_MS,
  )

  test(
    'offsets that are set ahead are obeyed: what lies between is never decided',
    async () => {
      await order(5)
      await resetOffsets({ bootstrap, group: GROUP }, orders.name, { to: 'latest' })
      await order(3)
      await run()
      const found = await events()
      expect(found).toHaveLength(47 + 3)
      for (const skipped of [47, 48, 49, 50, 51]) {
        expect(found.some((text) => String(text).includes(`"o${skipped}"`))).toBe(false)
      }
    },
    LONG_MS,
  )

  test(
    'internal topics have the names and settings of Kafka Streams, but for what docs/deviations.md names',
    async () => {
      const seen = async (name: string) => describeTopic({ bootstrap, topic: `${GROUP}-${name}` })
      for (const name of ['inventory', 'orders-seen', 'stock-seen', 'orders-by-id']) {
        const { partitions, config } = await seen(`${name}-changelog`)
        expect(partitions).toBe(PARTITIONS)
        expect(config).toMatchObject({
          'cleanup.policy': 'compact',
          'message.timestamp.type': 'CreateTime',
          'delete.retention.ms': '604800000',
        })
        expect(config['retention.ms']).toBeUndefined()
      }
      const { partitions, config } = await seen('orders-by-id-repartition')
      expect(partitions).toBe(PARTITIONS)
      expect(config).toMatchObject({
        'cleanup.policy': 'delete',
        'retention.ms': '-1',
        'segment.bytes': '52428800',
        'message.timestamp.type': 'CreateTime',
      })
    },
    LONG_MS,
  )

  test(
    'a group that is deleted, with its offsets, stops it, and it says what to do (R22)',
    async () => {
      const args = ['--bootstrap-server', bootstrap, '--group', GROUP, '--delete']
      await runTool({ tool: 'consumer.group.ConsumerGroupCommand', args })
      const before = await events()
      await expect(run()).rejects.toThrow(
        /has state and no input was ever committed. Reset campus-inventory, or restore/,
      )
      expect(await events()).toEqual(before)
    },
    LONG_MS,
  )
})
