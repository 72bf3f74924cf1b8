import { describe, expect, test } from 'bun:test'
import { createMemoryLog } from '#log/memory'
import { systemClock } from '#system'
import { long, string, StreamsBuilder, topic, tumbling, type Topology } from '#topology'
import { readApplicationTopics, writeTopologyRecord } from './topology-record.ts'
import { prepareTopics } from './topics.ts'

const orders = topic('orders', { key: string(), value: string() })
const totals = topic('totals', { key: string(), value: long() })

function topology(): Topology {
  const builder = new StreamsBuilder('shop')
  builder
    .stream(orders)
    .selectKey((value) => value)
    .repartition('by-item', { partitions: 5 })
    .groupByKey()
    .count('counts')
    .toStream()
    .to(totals)
  builder
    .stream(orders)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
    .count('per-minute')
  return builder.build()
}

const CREATED = ['orders', 'totals'].map((name) => ({ topic: name, partitions: 3, config: {} }))

describe('the topics of an application', () => {
  test('have Kafka Streams’ names, settings and partition counts (3.4), and ours beside them', async () => {
    const log = createMemoryLog()
    const { partitionCounts: counts } = await prepareTopics(log, topology(), CREATED)
    const described = await log.describeTopics()
    const owned = described.filter((description) => description.topic.startsWith('shop-'))
    expect(
      Object.fromEntries(owned.map((description) => [description.topic, description.partitions])),
    ).toEqual({
      'shop-0-journal': 3,
      'shop-1-journal': 5,
      'shop-by-item-repartition': 5,
      'shop-counts-changelog': 5,
      'shop-per-minute-changelog': 3,
      'shop-dead-letters': 5,
      'shop-late': 5,
      'shop-topology': 1,
    })
    expect(counts.get('shop-counts-changelog')).toBe(5)
    const configOf = (name: string): unknown =>
      owned.find((description) => description.topic === name)?.config
    expect(configOf('shop-counts-changelog')).toMatchObject({
      'cleanup.policy': 'compact',
      'delete.retention.ms': String(7 * 86_400_000),
    })
    expect(configOf('shop-per-minute-changelog')).toMatchObject({
      'cleanup.policy': 'compact',
      'delete.retention.ms': String(7 * 86_400_000),
    })
    expect(configOf('shop-by-item-repartition')).toMatchObject({
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'segment.bytes': '52428800',
    })
    // A second start changes nothing.
    await prepareTopics(log, topology(), CREATED)
  })

  test('that are not the application’s must be there, and are named if they are not', async () => {
    const log = createMemoryLog()
    await expect(prepareTopics(log, topology())).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
      message: expect.stringContaining('orders, totals'),
    })
    expect(await log.describeTopics()).toEqual([])
  })

  test('that meet must have equally many partitions', async () => {
    const builder = new StreamsBuilder('join')
    const table = builder.table('prices', topic('prices', { key: string(), value: string() }))
    builder
      .stream(orders)
      .join(table, (order, price) => order + price)
      .to(topic('totals', { key: string(), value: string() }))
    const log = createMemoryLog()
    const created = [...CREATED, { topic: 'prices', partitions: 4, config: {} }]
    await expect(prepareTopics(log, builder.build(), created)).rejects.toMatchObject({
      code: 'NOT_CO_PARTITIONED',
    })
  })

  test('are told on the log, the latest start last', async () => {
    const log = createMemoryLog()
    expect(await readApplicationTopics(log, 'shop')).toBeUndefined()
    await prepareTopics(log, topology(), CREATED)
    await writeTopologyRecord(log, topology(), systemClock)
    await writeTopologyRecord(log, topology(), systemClock)
    expect(await readApplicationTopics(log, 'shop')).toEqual({
      inputs: ['orders', 'shop-by-item-repartition'],
      outputs: ['totals'],
      internal: ['shop-by-item-repartition', 'shop-per-minute-changelog', 'shop-counts-changelog'],
    })
  })
})
