/** The proxy before a real broker, with Kafka's own tools and with ours as clients. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openLog, RecordBatchWriter, type Log } from '#millrace'
import { kafkaForTests, startCluster, type Cluster } from '../cluster.ts'
import { consoleConsumer, consoleProducer } from '../tools.ts'
import { KafkaProxy } from './proxy.ts'

const kafka = await kafkaForTests()
const START_MS = 120_000

describe.skipIf(kafka === undefined)('a proxy before a broker', () => {
  let cluster: Cluster
  let proxy: KafkaProxy
  let log: Log
  beforeAll(async () => {
    cluster = await startCluster({ proxied: true })
    proxy = await KafkaProxy.start(cluster.proxied)
    log = await openLog(`kafka://${proxy.bootstrap}?clientId=drilled`)
  }, START_MS)
  afterAll(async () => {
    await log.close()
    await proxy.close()
    await cluster.down()
  })

  async function commit(topic: string, value: string, transactionalId = 'txn'): Promise<string> {
    const writer = await log.writer({ transactionalId })
    try {
      const batch = new RecordBatchWriter()
      batch.add(Date.now(), null, new TextEncoder().encode(value), [])
      const appends = [{ topic, partition: 0, count: 1, bytes: batch.finish() }]
      const none = { groupId: undefined, member: undefined, offsets: [] }
      return (await writer.commit({ appends, ...none })).outcome
    } finally {
      await writer.close()
    }
  }

  async function values(topic: string): Promise<(string | null)[]> {
    const read: (string | null)[] = []
    const from = { bootstrap: cluster.bootstrap, topic, idleMs: 1_500, firstWaitMs: 15_000 }
    for await (const { value } of consoleConsumer(from)) read.push(value)
    return read
  }

  const topic = async (name: string): Promise<string> => {
    await log.createTopics([{ topic: name, partitions: 1, config: {} }])
    return name
  }

  test('without rules changes nothing, for Kafka’s own clients too, and all of them come by it', async () => {
    const name = await topic('plain')
    const seen = proxy.add({ api: 'Produce', side: 'request', action: 'delay', delayMs: 0 })
    const records = [
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ]
    await consoleProducer({ bootstrap: proxy.bootstrap, topic: name, records })
    expect(seen.fired).toBeGreaterThan(0)
    expect((await values(name)).toSorted()).toEqual(['1', '2'])
    proxy.heal()
  })

  test('a lost answer of EndTxn: the client asks again, and the transaction is there once', async () => {
    const name = await topic('end-lost')
    const lost = proxy.add({ api: 'EndTxn', side: 'response', action: 'drop', times: 1 })
    expect(await commit(name, 'once')).toBe('committed')
    expect(lost.fired).toBe(1)
    expect(await values(name)).toEqual(['once'])
  }, 180_000)

  test('a cut Produce, before it arrives and after: the same batch comes again, and is there once', async () => {
    const name = await topic('produce-cut')
    const before = proxy.add({ api: 'Produce', side: 'request', action: 'cut', times: 1 })
    const after = proxy.add({ api: 'Produce', side: 'response', action: 'cut', times: 1 })
    expect(await commit(name, 'once')).toBe('committed')
    expect([before.fired, after.fired]).toEqual([1, 1])
    expect(await values(name)).toEqual(['once'])
  }, 180_000)

  test('a repeated EndTxn reaches the broker a second time, and its client hears one answer', async () => {
    const name = await topic('end-twice')
    const twice = proxy.add({ api: 'EndTxn', side: 'request', action: 'duplicate', times: 1 })
    expect(await commit(name, 'once')).toBe('committed')
    expect(await commit(name, 'again')).toBe('committed')
    expect(twice.fired).toBe(1)
    expect(await values(name)).toEqual(['once', 'again'])
  }, 180_000)

  test('a request that is held up arrives, whether its client waited for it or not', async () => {
    const name = await topic('end-late')
    const held = { api: 'EndTxn', side: 'request', action: 'delay', times: 1 } as const
    const late = proxy.add({ ...held, delayMs: 6_000 })
    const committing = commit(name, 'late')
    expect(await committing).toBe('committed')
    expect(late.fired).toBe(1)
    expect(await values(name)).toEqual(['late'])
  }, 180_000)

  test('a rule is for one client, one transaction, and only as often as it says', async () => {
    const name = await topic('chosen')
    const all = { api: 'EndTxn', side: 'request', action: 'delay', delayMs: 1 } as const
    const others = proxy.add({ ...all, clientId: 'another' })
    const first = proxy.add({ ...all, transaction: 'chosen-', skip: 1, every: 2, times: 1 })
    for (const value of ['1', '2', '3', '4', '5', '6']) await commit(name, value, 'chosen-one')
    await commit(name, '7', 'other')
    expect(others.fired).toBe(0)
    expect(first.fired).toBe(1)
  }, 180_000)
})
