/** Part 5: what Java's clients write we read the same, in the same places, and the other way round. */
import { systemClock as clock, systemRandom as random } from '#system'
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { kafkaForTests } from '#kafka-for-tests'
import {
  consoleConsumer,
  consoleProducer,
  startJavaClient,
  type JavaClient,
  type JavaReadRecord,
  type JavaRecord,
} from '#kafka-for-tests/tools'
import { Buffer } from 'node:buffer'

import { COMPRESSIONS, type Compression } from '../compression.ts'
import { openKafkaLog } from '../kafka-log.ts'
import { fresh } from '../log.contract/harness.ts'
import type { Append, Log, LogWriter } from '../log.ts'
import { partitionFor } from '../partitioner.ts'
import { RecordBatchWriter } from '../record-batch-writer.ts'
import { kafkaOptions } from './kafka-url.ts'
import { type BytesRecord, hexOf, readBytes } from './test-helpers/read-bytes.ts'

const kafka = await kafkaForTests()
const bootstrap = kafka?.bootstrap ?? ''
setDefaultTimeout(120_000)

const PARTITIONS = 3
/** So that times far apart are neither refused nor deleted. */
const TIMELESS = {
  'retention.ms': '-1',
  'message.timestamp.after.max.ms': '9223372036854775807',
}
const DAY_MS = 86_400_000
const LATE_MS = 253_402_300_799_999

type Keyed = Omit<JavaRecord, 'partition' | 'timestamp'> & { readonly timestamp: number }

/** All that a record can be: every kind of key and value, headers and times, and texts that compress. */
function everyKind(): readonly Keyed[] {
  const text = (value: string): Uint8Array => Buffer.from(value)
  const keys = [
    null,
    text(''),
    text('order-1'),
    text('заказ ☃ 𝄞'),
    Buffer.from('00ff80c3285c', 'hex'),
    Buffer.alloc(300, 7),
  ]
  const values = [null, text(''), text('{"a":1}'), text('of many words '.repeat(500))]
  const headers: readonly NonNullable<JavaRecord['headers']>[] = [
    [],
    [
      ['a', text('1')],
      ['a', text('2')],
      ['', null],
      ['ключ', text('')],
      ['b', Buffer.from('ff00', 'hex')],
      ['a', null],
    ],
  ]
  const times = [1_700_000_000_000, 0, LATE_MS, 1_700_000_000_000 - 400 * DAY_MS]
  let n = 0
  return keys.flatMap((key) =>
    values.flatMap((value) =>
      headers.map((each) => {
        n += 1
        return { key, value, headers: each, timestamp: times[n % times.length] as number }
      }),
    ),
  )
}

const asBytes = ({ key, value, headers, ...rest }: JavaReadRecord): BytesRecord => ({
  ...rest,
  key: hexOf(key),
  value: hexOf(value),
  headers: headers.map(([name, bytes]) => [name, hexOf(bytes)]),
})

function inOrder(records: readonly BytesRecord[]): readonly BytesRecord[] {
  return records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
}

describe.skipIf(kafka === undefined)("beside Java's clients", () => {
  let log: Log
  let java: JavaClient
  beforeAll(async () => {
    const surroundings = { clock, random }
    log = await openKafkaLog(await kafkaOptions(`kafka://${bootstrap}`), surroundings)
    java = await startJavaClient(bootstrap)
  })
  afterAll(async () => {
    await java?.[Symbol.asyncDispose]()
    await log?.close()
  })

  async function newTopic(partitions: number = PARTITIONS): Promise<string> {
    const topic = fresh('neighbour')
    await log.createTopics([{ topic, partitions, config: TIMELESS }])
    return topic
  }

  async function asJavaReads(
    topic: string,
    isolation: string = 'read_committed',
  ): Promise<readonly BytesRecord[]> {
    const read = await java.read({ topic, settings: { 'isolation.level': isolation } })
    return inOrder(read.map(asBytes))
  }

  describe('what Java writes', () => {
    test.each(COMPRESSIONS)(
      'is read byte for byte, where Java put it (%s)',
      async (compression) => {
        const topic = await newTopic()
        const records = everyKind()
        const settings = { 'compression.type': compression, 'linger.ms': '50' }
        const places = await java.produce({ topic, records, settings })
        const expected = records.map((record, n) => ({
          ...asBytes({
            headers: [],
            ...record,
            ...(places[n] as { partition: number; offset: number }),
          }),
        }))
        const { records: read, compressions } = await readBytes(log, topic)
        expect(read).toEqual(inOrder(expected))
        expect([...compressions]).toEqual([compression])
        for (const { key, partition } of expected) {
          if (key !== null)
            expect([key, partition]).toEqual([
              key,
              partitionFor(Buffer.from(key, 'hex'), PARTITIONS),
            ])
        }
      },
    )

    test.each([1, 3, 4, 6, 10, 12, 16])(
      '3.5: is in the partition that we choose: 3,000 keys over %d',
      async (partitions) => {
        const topic = await newTopic(partitions)
        const keys = Array.from({ length: 3_000 }, (_, n) =>
          n % 3 === 0
            ? Buffer.from(crypto.getRandomValues(new Uint8Array(n % 67)))
            : Buffer.from(n % 3 === 1 ? `item-${n}` : `ключ ${n} ☃`),
        )
        const records = keys.map((key) => ({ key, value: null }))
        const places = await java.produce({ topic, records })
        const own = keys.map((key) => partitionFor(key, partitions))
        expect(places.map(({ partition }) => partition)).toEqual(own)
        expect(new Set(own).size).toBe(partitions)
      },
    )

    test('in transactions is there once they are committed, and never if they are aborted', async () => {
      const topic = await newTopic()
      for (const compression of COMPRESSIONS) {
        const settings = { 'compression.type': compression, 'transactional.id': fresh('java') }
        for (const end of ['abort', 'commit', 'abort'] as const) {
          const value = Buffer.from(`${end} `.repeat(20))
          const records = everyKind().map((record) => ({ ...record, value }))
          await java.produce({ topic, records, settings, end })
        }
      }
      const own = await readBytes(log, topic)
      expect([...own.compressions].toSorted()).toEqual(COMPRESSIONS.toSorted())
      expect(own.records).toHaveLength(COMPRESSIONS.length * everyKind().length)
      expect(own.records).toEqual(await asJavaReads(topic))
      const value = hexOf(Buffer.from('commit '.repeat(20)))
      for (const record of own.records) expect(record.value).toBe(value)
      const all = await readBytes(log, topic, 'read-uncommitted')
      expect(all.records).toHaveLength(3 * own.records.length)
      expect(all.records).toEqual(await asJavaReads(topic, 'read_uncommitted'))
    })

    test('by its console producer is in the same places', async () => {
      const topic = await newTopic(6)
      const keys = Array.from({ length: 300 }, (_, n) => (n === 0 ? '' : `ключ-${n}`))
      const records = keys.map((key) => ({ key, value: key }))
      await consoleProducer({ bootstrap, topic, records, compression: 'lz4' })
      const { records: read } = await readBytes(log, topic)
      const placed = read.map(({ key, partition }) => [key, partition])
      const expected = keys.map((key) => [
        hexOf(Buffer.from(key)),
        partitionFor(Buffer.from(key), 6),
      ])
      expect(placed.toSorted()).toEqual(expected.toSorted())
    })
  })

  describe('what we write', () => {
    /** One batch a partition, in our partitions; records without a key go to the first. */
    function appendsOf(
      topic: string,
      compression: Compression,
      records: readonly Keyed[] = everyKind(),
    ): { readonly appends: readonly Append[]; readonly expected: readonly BytesRecord[] } {
      const batches = Array.from(
        { length: PARTITIONS },
        () => new RecordBatchWriter({ compression }),
      )
      const expected = records.map((record) => {
        const { key, value, headers = [], timestamp } = record
        const partition = key === null ? 0 : partitionFor(key, PARTITIONS)
        const batch = batches[partition] as RecordBatchWriter
        const offset = batch.count
        batch.add(timestamp, key, value, headers)
        return asBytes({ headers, key, value, timestamp, partition, offset })
      })
      const appends = batches.map((batch, partition): Append => {
        const { count } = batch
        return { topic, partition, bytes: batch.finish(), count }
      })
      return { appends, expected: inOrder(expected) }
    }

    test.each(COMPRESSIONS)('appends are read byte for byte by Java (%s)', async (compression) => {
      const topic = await newTopic()
      const writer = await log.writer()
      const { appends, expected } = appendsOf(topic, compression)
      await Promise.all(appends.map((append) => writer.append(append)))
      await writer.close()
      expect(await asJavaReads(topic)).toEqual(expected)
      const { records, compressions } = await readBytes(log, topic)
      expect(records).toEqual(expected)
      expect([...compressions]).toEqual([compression])
    })

    test.each(COMPRESSIONS)(
      'transactions are read by Java if they are committed, not if they are aborted (%s)',
      async (compression) => {
        const topic = await newTopic()
        const groupId = fresh('nobody')
        const writer = await log.writer({ transactionalId: fresh('ours') })
        const { appends, expected } = appendsOf(topic, compression)
        const commit = (member?: Parameters<LogWriter['commit']>[0]['member']) =>
          writer.commit({
            appends,
            groupId,
            member,
            offsets: [{ topic, partition: 0, offset: 1, metadata: '' }],
          })
        // Its group has no such member: records are written, offsets are refused.
        const stale = { groupId, memberId: 'none', instanceId: undefined, generation: 7 }
        expect(await commit(stale)).toMatchObject({ outcome: 'aborted' })
        expect(await commit()).toMatchObject({ outcome: 'committed' })
        await writer.close()
        const read = await asJavaReads(topic)
        const withoutOffsets = (record: BytesRecord) => ({ ...record, offset: 0 })
        expect(read.map(withoutOffsets)).toEqual(expected.map(withoutOffsets))
        expect(await asJavaReads(topic, 'read_uncommitted')).toHaveLength(2 * expected.length)
        expect((await readBytes(log, topic)).records).toEqual(read)
      },
    )

    test("is read by Kafka's console consumer, texts and headers, every compression in one topic", async () => {
      const topic = await newTopic(1)
      const writer = await log.writer({ transactionalId: fresh('ours') })
      const headers = [
        ['a', Buffer.from('1')],
        ['a', null],
      ] as const
      for (const compression of COMPRESSIONS) {
        const batch = new RecordBatchWriter({ compression })
        for (let n = 0; n < 200; n += 1)
          batch.add(
            1_000 + n,
            Buffer.from(`ключ-${n}`),
            Buffer.from(`${compression} ${n}`),
            headers,
          )
        const append = { topic, partition: 0, bytes: batch.finish(), count: 200 }
        const sealed = { appends: [append], groupId: undefined, member: undefined, offsets: [] }
        expect(await writer.commit(sealed)).toMatchObject({ outcome: 'committed' })
      }
      await writer.close()
      const read: unknown[] = []
      for await (const record of consoleConsumer({ bootstrap, topic, count: 1_000 })) {
        read.push([record.timestamp, record.key, record.value, record.headers])
      }
      expect(read).toEqual(
        COMPRESSIONS.flatMap((compression) =>
          Array.from({ length: 200 }, (_, n) => [
            1_000 + n,
            `ключ-${n}`,
            `${compression} ${n}`,
            [
              ['a', '1'],
              ['a', null],
            ],
          ]),
        ),
      )
    })
  })
})
