/** Reading from real brokers: what Kafka's own consumer reads is the truth. */
import { kafkaForTests } from '#kafka-for-tests'
import { consoleConsumer, consoleProducer } from '#kafka-for-tests/tools'
import { systemClock as clock, systemRandom as random } from '#system'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { openKafkaLog } from '../kafka-log.ts'
import { coded, fresh } from '../log.contract/harness.ts'
import {
  appendOf,
  type ReadRecord,
  readToEnd,
  recordsOf,
  valuesOf,
} from '../log.contract/records.ts'
import type {
  FetchedBatch,
  Isolation,
  Log,
  LogReader,
  TopicConfig,
  TopicPartition,
} from '../log.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { fetch } from './fetch-codec.ts'
import { createReader } from './fetcher.ts'
import { kafkaOptions } from './kafka-url.ts'
import { VisibleBatches } from './read-committed.ts'
import { RawTransactions } from './test-helpers/raw-transactions.ts'

const kafka = await kafkaForTests()
const bootstrap = kafka?.bootstrap ?? ''
const LONG_MS = 120_000
const FOREVER = { waitMs: 3_600_000, bytesMax: 1 << 20 }
const LATER = { waitMs: 10_000, bytesMax: 1 << 20 }

describe.skipIf(kafka === undefined)('a reader on a broker', () => {
  let log: Log
  let cluster: Cluster
  const readers: LogReader[] = []
  beforeAll(async () => {
    const options = await kafkaOptions(`kafka://${bootstrap}`)
    cluster = await openCluster(options, { clock, random })
    log = await openKafkaLog(options, { clock, random })
  })
  afterAll(async () => {
    for (const reader of readers) await reader.close()
    await cluster.close()
    await log.close()
  })

  async function newTopic(config: TopicConfig = {}): Promise<TopicPartition> {
    const topic = fresh('orders')
    await log.createTopics([{ topic, partitions: 1, config }])
    return { topic, partition: 0 }
  }

  function readerOf(
    place: TopicPartition,
    isolation: Isolation = 'read-committed',
    partitionBytesMax?: number,
  ): LogReader {
    const reader = createReader(cluster, {
      isolation,
      ...(partitionBytesMax !== undefined && { partitionBytesMax }),
    })
    readers.push(reader)
    reader.assign([{ ...place, position: 0 }])
    return reader
  }

  async function readAll(reader: LogReader, place: TopicPartition): Promise<readonly ReadRecord[]> {
    return recordsOf(await readToEnd(reader, place))
  }

  /** Until there are so many records. */
  async function readSome(reader: LogReader, count: number): Promise<readonly ReadRecord[]> {
    const batches: FetchedBatch[] = []
    while (recordsOf(batches).length < count) batches.push(...(await reader.poll(LATER)))
    return recordsOf(batches)
  }

  /** It ends as soon as it has `count`, or when nothing has come for long. */
  async function asJavaReads(
    { topic, partition }: TopicPartition,
    count: number,
  ): Promise<readonly (readonly [number, string | null])[]> {
    const from = { partition, offset: 0 }
    const records: (readonly [number, string | null])[] = []
    for await (const record of consoleConsumer({ bootstrap, topic, count, from, idleMs: 10_000 })) {
      records.push([record.offset, record.value])
    }
    return records
  }

  const offsetsAndValues = (
    records: readonly ReadRecord[],
  ): readonly (readonly [number, string | null])[] =>
    records.map(({ offset, value }) => [offset, value] as const)

  describe('with interleaved transactions', () => {
    let place: TopicPartition
    let truth: readonly (readonly [number, string | null])[]
    beforeAll(async () => {
      place = await newTopic()
      const committed = await interleave(cluster, place)
      truth = await asJavaReads(place, committed)
    }, LONG_MS)

    test('has something to get wrong', () => {
      const values = truth.map(([, value]) => value ?? '')
      expect(values.length).toBeGreaterThan(150)
      expect(values.every((value) => value.startsWith('commit'))).toBe(true)
    })

    test.each([300, 2_000, 5_000, 20_000, 1 << 20])(
      'reads what Java reads, %d bytes a partition and answer',
      async (partitionBytesMax) => {
        const reader = readerOf(place, 'read-committed', partitionBytesMax)
        expect(offsetsAndValues(await readAll(reader, place))).toEqual(truth)
      },
      LONG_MS,
    )

    test.each([13, 14, 15, 16, 17])(
      'reads what Java reads by Fetch version %d, and by any size',
      async (version) => {
        const { nodeId, topicId, leaderEpoch } = await cluster.leader(place)
        for (const bytesMax of [700, 1 << 20]) {
          const taken: FetchedBatch[] = []
          let offset = 0
          for (;;) {
            const wanted = { topicId, partition: 0, leaderEpoch, offset, bytesMax }
            const request = {
              waitMs: 0,
              bytesMax: 8 << 20,
              isolation: 'read-committed',
              partitions: [wanted],
            } as const
            const { partitions } = await cluster.call(nodeId, 'fetch', 10_000, (connection) =>
              fetch(connection, version, request),
            )
            const [answer] = partitions
            if (answer === undefined || answer.records.length === 0) break
            const batches = new VisibleBatches(place, answer.records, offset, answer.aborted)
            for (let next = batches.take(); next !== undefined; next = batches.take()) {
              taken.push(next)
            }
            offset = batches.position
          }
          expect(offsetsAndValues(recordsOf(taken))).toEqual(truth)
        }
      },
      LONG_MS,
    )

    test('is at the high watermark behind markers and aborted records', async () => {
      const reader = readerOf(place)
      await readAll(reader, place)
      const progress = reader.progress(place)
      const end = await log.endOffset(place, 'read-uncommitted')
      expect(progress).toMatchObject({ position: end, highWatermark: end, lastStableOffset: end })
      expect(truth.at(-1)?.[0]).toBeLessThan(end - 1)
    })

    test('gives aborted records too when it reads uncommitted, and no markers', async () => {
      const values = valuesOf(await readAll(readerOf(place, 'read-uncommitted'), place))
      expect(values.filter((value) => value?.startsWith('abort')).length).toBeGreaterThan(100)
      expect(values.filter((value) => !value?.startsWith('abort'))).toEqual(
        truth.map(([, value]) => value),
      )
    })
  })

  test(
    'stops at the last stable offset, and is woken by the commit',
    async () => {
      const place = await newTopic()
      const writer = await log.writer()
      const open = await RawTransactions.open(cluster, fresh('open'))
      await writer.append(appendOf(place, ['before']))
      await open.write(place, ['open'])
      await writer.append(appendOf(place, ['behind']))
      const reader = readerOf(place)
      expect(valuesOf(await readSome(reader, 1))).toEqual(['before'])
      const behind = { position: 1, highWatermark: 3, lastStableOffset: 1 }
      expect(reader.progress(place)).toMatchObject(behind)
      expect(valuesOf(await readSome(readerOf(place, 'read-uncommitted'), 3))).toEqual([
        'before',
        'open',
        'behind',
      ])
      const waiting = reader.poll(FOREVER)
      await open.end('commit')
      expect(valuesOf(recordsOf(await waiting))).toEqual(['open', 'behind'])
    },
    LONG_MS,
  )

  test(
    'tolerates what compaction leaves of transactions',
    async () => {
      const place = await newTopic({
        'cleanup.policy': 'compact',
        'segment.ms': '100',
        'min.cleanable.dirty.ratio': '0.01',
        'delete.retention.ms': '0',
      })
      const producer = await RawTransactions.open(cluster, fresh('changelog'))
      let wave = 0
      const writeWave = async (): Promise<void> => {
        for (const outcome of ['commit', 'abort', 'commit'] as const) {
          const records = Array.from({ length: 30 }, (_, n) => ({
            key: `key-${n % 10}`,
            value: n % 7 === 0 ? null : `${outcome}-${wave}-${n}`,
          }))
          await producer.write(place, records)
          await producer.end(outcome)
        }
        wave += 1
      }
      // The cleaner works when it likes, on segments that are closed: by another wave.
      let records: readonly ReadRecord[] = []
      do {
        await writeWave()
        await Bun.sleep(150)
        records = await readAll(readerOf(place, 'read-committed', 2_000), place)
      } while (!hasGap(records))
      // It may have gone on meanwhile: what two readings around Java's agree on is the truth for both.
      for (;;) {
        const before = offsetsAndValues(await readAll(readerOf(place), place))
        const java = await asJavaReads(place, before.length)
        const after = offsetsAndValues(await readAll(readerOf(place), place))
        if (JSON.stringify(before) !== JSON.stringify(after)) continue
        expect(before).toEqual(java)
        expect(before.every(([, value]) => !value?.startsWith('abort'))).toBe(true)
        return
      }
    },
    LONG_MS,
  )

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'reads what Java has compressed with %s',
    async (compression) => {
      const place = await newTopic()
      const records = Array.from({ length: 500 }, (_, n) => ({
        key: n % 5 === 0 ? null : `key-${n}`,
        value: n % 11 === 0 ? null : `value ${n} ${'of many words '.repeat(n % 13)}`,
        headers: [['n', `${n}`]] as const,
      }))
      await consoleProducer({ bootstrap, topic: place.topic, records, compression })
      const batches = await readToEnd(readerOf(place), place)
      const codes = new Set(batches.map(({ bytes }) => (bytes[22] as number) & 7))
      expect([...codes]).toEqual([['gzip', 'snappy', 'lz4', 'zstd'].indexOf(compression) + 1])
      expect(
        recordsOf(batches).map(({ key, value, headers }) => ({ key, value, headers })),
      ).toEqual(records.map(({ key, value, headers }) => ({ key, value, headers })))
    },
    LONG_MS,
  )

  test('gives the broker’s time where the topic keeps that', async () => {
    const place = await newTopic({ 'message.timestamp.type': 'LogAppendTime' })
    const beforeMs = clock.nowMs()
    await (await log.writer()).append(appendOf(place, ['a', 'b']))
    const records = await readAll(readerOf(place), place)
    expect(records).toHaveLength(2)
    for (const { timestampMs } of records) {
      expect(timestampMs).toBeGreaterThanOrEqual(beforeMs)
      expect(timestampMs).toBeLessThanOrEqual(clock.nowMs())
    }
  })

  test(
    'of a topic that is deleted is TOPIC_UNKNOWN, also when another takes its name; others go on',
    async () => {
      for (const isCreatedAnew of [false, true]) {
        const [gone, other] = [await newTopic(), await newTopic()]
        const writer = await log.writer()
        const reader = readerOf(gone)
        reader.assign([
          { ...gone, position: 0 },
          { ...other, position: 0 },
        ])
        await writer.append(appendOf(gone, ['before']))
        expect(valuesOf(await readSome(reader, 1))).toEqual(['before'])
        await log.deleteTopics([gone.topic])
        if (isCreatedAnew) {
          await log.createTopics([{ topic: gone.topic, partitions: 1, config: {} }])
          await writer.append(appendOf(gone, ['of another topic', 'and one more']))
        }
        await expect(reader.poll(LATER)).rejects.toEqual(
          expect.objectContaining({ code: 'TOPIC_UNKNOWN', at: gone }),
        )
        await writer.append(appendOf(other, ['goes on']))
        expect(valuesOf(await readSome(reader, 1))).toEqual(['goes on'])
      }
    },
    LONG_MS,
  )

  test('waits for a topic that is only just being created', async () => {
    const place = { topic: fresh('orders'), partition: 0 }
    const reader = readerOf(place)
    const waiting = reader.poll(LATER)
    await log.createTopics([{ topic: place.topic, partitions: 1, config: {} }])
    await (await log.writer()).append(appendOf(place, ['first']))
    expect(valuesOf(recordsOf(await waiting))).toEqual(['first'])
  })

  test('ends with its log, whether it waits or has all it may hold', async () => {
    for (const waits of [true, false]) {
      const own = await openKafkaLog(await kafkaOptions(`kafka://${bootstrap}`), { clock, random })
      const place = await newTopic()
      const reader = own.reader()
      reader.assign([{ ...place, position: 0 }])
      await reader.poll({ waitMs: 50, bytesMax: 1 })
      const waiting = waits ? reader.poll(FOREVER) : undefined
      await own.close()
      await expect(waiting ?? reader.poll(FOREVER)).rejects.toEqual(coded('LOG_CLOSED'))
    }
  })
})

function hasGap(records: readonly ReadRecord[]): boolean {
  return records.some(({ offset }, n) => offset > 100 + (records[n - 1]?.offset ?? 0))
}

/**
 * Three producers whose transactions overlap, of one batch and of many, half of them aborted. Every value says how it ends.
 * Returns how many records were committed.
 */
async function interleave(cluster: Cluster, place: TopicPartition): Promise<number> {
  let committed = 0
  const write = async (producer: RawTransactions, values: readonly string[]): Promise<void> => {
    await producer.write(place, values)
    if (values[0]?.startsWith('commit')) committed += values.length
  }
  const producers = await Promise.all(
    [0, 1, 2].map(() => RawTransactions.open(cluster, fresh('producer'))),
  )
  const [first, second, third] = producers as [RawTransactions, RawTransactions, RawTransactions]
  // Commit, abort, abort, commit, abort: of one producer, back to back.
  for (const outcome of ['commit', 'abort', 'abort', 'commit', 'abort'] as const) {
    await write(first, [`${outcome} one after the other`])
    await first.end(outcome)
  }
  // A long one that ends aborted, around short ones of the others.
  for (let round = 0; round < 30; round += 1) {
    await write(first, ['abort of many batches', 'abort'])
    for (const [n, producer] of [second, third].entries()) {
      const outcome = (round + n) % 3 === 0 ? 'abort' : 'commit'
      await write(producer, [`${outcome} ${round}`, `${outcome} ${'x'.repeat(round * 20)}`])
      if (round % 2 === n) await write(producer, [`${outcome} again`])
      await producer.end(outcome)
    }
  }
  await first.end('abort')
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(
      producers.map(async (producer, n) => {
        const outcome = (round + n) % 2 === 0 ? 'abort' : 'commit'
        for (let batch = 0; batch < 3; batch += 1) {
          await write(producer, [`${outcome} in parallel`, `${outcome} ${batch}`])
        }
        await producer.end(outcome)
      }),
    )
  }
  await write(first, ['abort at the end'])
  await first.end('abort')
  return committed
}
