import { describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import { kafkaForTests } from './cluster.ts'
import {
  consoleConsumer,
  consoleProducer,
  consumerPerformance,
  createTopic,
  describeGroup,
  groupState,
  listGroups,
  producerPerformance,
  resetOffsets,
} from './tools.ts'
import type { ConsoleConsumerOptions, ConsoleRecord, ProducedRecord } from './tools.ts'

const kafka = await kafkaForTests()
const bootstrap = kafka?.bootstrap ?? ''

async function newTopic(partitions = 1): Promise<string> {
  const topic = `tools-${randomUUID()}`
  await createTopic({ bootstrap, topic, partitions })
  return topic
}

async function readAll(
  options: Omit<ConsoleConsumerOptions, 'bootstrap'>,
): Promise<ConsoleRecord[]> {
  const records: ConsoleRecord[] = []
  for await (const record of consoleConsumer({ bootstrap, ...options })) records.push(record)
  return records
}

describe.skipIf(kafka === undefined)("Kafka's own tools", () => {
  test('what the console producer wrote the console consumer reads, nulls and headers too', async () => {
    const topic = await newTopic()
    const written: ProducedRecord[] = [
      { key: 'plain', value: '{"a":"b, c:d\\tü"}' },
      { key: 'null', value: 'null' },
      { key: null, value: null },
      { key: '', value: '' },
      {
        key: 'headers',
        value: 'x',
        headers: [
          ['a', 'b:c,d'],
          ['a', null],
          ['e', ''],
        ],
      },
    ]
    for (const compression of ['none', 'zstd'] as const)
      await consoleProducer({ bootstrap, topic, records: written, compression })

    const read = await readAll({ topic, count: 10 })
    expect(read.map(({ offset }) => offset)).toEqual(read.map((_, index) => index))
    for (const { timestamp } of read) expect(timestamp).toBeGreaterThan(0)
    const expected = written.map((record) => ({ headers: [], ...record }))
    for (const round of [0, 1])
      expect(
        read
          .slice(round * 5, round * 5 + 5)
          .map(({ key, value, headers }) => ({ key, value, headers })),
      ).toEqual(expected.map(({ key, value, headers }) => ({ key, value, headers })))
  })

  test('a feed ends when nothing more comes, and begins at an offset when asked', async () => {
    const topic = await newTopic(2)
    const records = Array.from({ length: 100 }, (_, n) => ({ key: `k${n}`, value: `v${n}` }))
    await consoleProducer({ bootstrap, topic, records })
    const all = await readAll({ topic })
    expect(all.map(({ value }) => value).sort()).toEqual(records.map(({ value }) => value).sort())
    const last = all.findLast(({ partition }) => partition === 1)
    const from = { partition: 1, offset: last?.offset ?? -1 }
    expect(await readAll({ topic, from, count: 1 })).toEqual([last as ConsoleRecord])
  })

  test('a feed that cannot be read is an error, not an empty feed', async () => {
    const settings = { 'security.protocol': 'NONE' }
    const failing = readAll({ topic: 'none', settings })
    await expect(failing).rejects.toThrow('the console consumer failed')
  })

  test('the performance tools tell rates; the group tool tells lag and resets offsets', async () => {
    const topic = await newTopic(2)
    const group = `group-${topic}`
    const target = { bootstrap, group }
    const records = 20_000
    const produced = await producerPerformance({ bootstrap, topic, records, recordBytes: 100 })
    const consumed = await consumerPerformance({ bootstrap, topic, records, group })
    for (const { recordsPerSecond, cpuMs, memoryPeakBytes } of [produced, consumed]) {
      expect(recordsPerSecond).toBeGreaterThan(0)
      expect(cpuMs.user).toBeGreaterThan(0)
      expect(memoryPeakBytes).toBeGreaterThan(1 << 20)
    }
    expect(await listGroups({ bootstrap })).toContain(group)
    await resetOffsets(target, topic, { to: 'offset', offset: 1 })
    const rows = (await describeGroup(target)).filter((row) => row.topic === topic)
    expect(rows.map(({ partition }) => partition).sort()).toEqual([0, 1])
    for (const { committed, end, lag } of rows) {
      expect(committed).toBe(1)
      expect(lag).toBe((end ?? 0) - 1)
    }
    expect(await groupState(target)).toEqual({ state: 'Empty', assignor: undefined, members: 0 })
  })
})
