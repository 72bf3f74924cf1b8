/** Core: what was acknowledged is at its offset, in order, as it was written. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'

import { COMPRESSIONS } from '../compression.ts'
import type { Log, LogWriter, TopicPartition } from '../log.ts'
import { BATCH_BYTES_MAX } from '../record-batch.ts'
import { coded, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf, readPartition, valuesOf } from './records.ts'

export function appendsSection(harness: LogHarness): void {
  describe('appends', () => {
    let under: LogUnderTest
    let log: Log
    let writer: LogWriter
    let place: TopicPartition
    let other: TopicPartition
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
      writer = await log.writer()
    })
    afterAll(async () => {
      await writer.close()
      await under.dispose()
    })
    beforeEach(async () => {
      const topic = fresh('orders')
      await log.createTopics([{ topic, partitions: 2, config: {} }])
      place = { topic, partition: 0 }
      other = { topic, partition: 1 }
    })

    test('take the next offsets of their partition, and say which', async () => {
      expect(await writer.append(appendOf(place, ['a', 'b']))).toEqual({ baseOffset: 0, count: 2 })
      expect(await writer.append(appendOf(place, ['c']))).toEqual({ baseOffset: 2, count: 1 })
      expect(await writer.append(appendOf(other, ['d']))).toEqual({ baseOffset: 0, count: 1 })
      expect(await log.endOffset(place, 'read-committed')).toBe(3)
      expect(await log.endOffset(other, 'read-uncommitted')).toBe(1)
      const records = await readPartition(log, place)
      expect(records.map(({ offset, value }) => [offset, value])).toEqual([
        [0, 'a'],
        [1, 'b'],
        [2, 'c'],
      ])
    })

    test('are done in call order when nobody waits for the one before', async () => {
      const appended = await Promise.all(
        Array.from({ length: 100 }, (_, n) => writer.append(appendOf(place, [`${n}`]))),
      )
      expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([...Array(100).keys()])
      const values = valuesOf(await readPartition(log, place))
      expect(values).toEqual(Array.from({ length: 100 }, (_, n) => `${n}`))
    })

    test('of two writers to one partition are each whole, and in each writer’s order', async () => {
      const second = await log.writer()
      const appends: Promise<unknown>[] = []
      for (let n = 0; n < 50; n += 1) {
        appends.push(writer.append(appendOf(place, [`a${n}`, `a${n}+`])))
        appends.push(second.append(appendOf(place, [`b${n}`, `b${n}+`])))
      }
      await Promise.all(appends)
      await second.close()
      const values = valuesOf(await readPartition(log, place))
      for (const name of ['a', 'b']) {
        const own = values.filter((value) => value?.startsWith(name))
        expect(own).toEqual(
          Array.from({ length: 50 }, (_, n) => [`${name}${n}`, `${name}${n}+`]).flat(),
        )
      }
      for (const [at, value] of values.entries()) {
        if (value?.endsWith('+')) expect(`${values[at - 1]}+`).toBe(value)
      }
    })

    test.each(COMPRESSIONS)(
      'keep keys, values, headers and timestamps, null and empty too (%s)',
      async (compression) => {
        const headers = [
          ['a', Buffer.from('1')],
          ['a', Buffer.from('2')],
          ['', null],
          ['ключ', Buffer.alloc(0)],
        ] as const
        const records = [
          { key: 'k', value: 'v', timestampMs: 1_700_000_000_000, headers },
          { key: null, value: null, timestampMs: 0 },
          { key: '', value: '', timestampMs: 253_402_300_799_999 },
          { key: 'big', value: 'x'.repeat(100_000), timestampMs: 1_600_000_000_000 },
        ]
        const topic = fresh('timeless')
        // A broker refuses times that are far ahead, unless told otherwise, and deletes what is long past.
        const config = {
          'retention.ms': '-1',
          'message.timestamp.after.max.ms': '9223372036854775807',
        }
        await log.createTopics([{ topic, partitions: 1, config }])
        const timeless = { topic, partition: 0 }
        await writer.append(appendOf(timeless, records, compression))
        const read = await readPartition(log, timeless)
        expect(read).toEqual([
          {
            ...records[0],
            offset: 0,
            headers: [
              ['a', '1'],
              ['a', '2'],
              ['', null],
              ['ключ', ''],
            ],
          },
          { ...records[1], offset: 1, headers: [] },
          { ...records[2], offset: 2, headers: [] },
          { ...records[3], offset: 3, headers: [] },
        ] as typeof read)
      },
    )

    test('bring one batch or several, one after the other', async () => {
      const [a, b] = [appendOf(place, ['a', 'b']), appendOf(place, ['c'])]
      const bytes = Buffer.concat([a.bytes, b.bytes])
      const appended = await writer.append({ ...place, bytes, count: 3 })
      expect(appended).toEqual({ baseOffset: 0, count: 3 })
      expect(valuesOf(await readPartition(log, place))).toEqual(['a', 'b', 'c'])
    })

    test('with a batch larger than the topic takes are RECORD_TOO_LARGE, and alone so', async () => {
      const small = fresh('small')
      const config = { 'max.message.bytes': '1000' }
      await log.createTopics([{ topic: small, partitions: 1, config }])
      const tight = { topic: small, partition: 0 }
      const tooLarge = coded('RECORD_TOO_LARGE')
      const results = await Promise.allSettled([
        writer.append(appendOf(tight, ['before'])),
        writer.append(appendOf(tight, ['x'.repeat(1_000)])),
        writer.append(appendOf(place, ['x'.repeat(BATCH_BYTES_MAX)])),
        writer.append(appendOf(tight, ['after'])),
      ])
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'rejected',
        'fulfilled',
      ])
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toEqual(tooLarge)
      }
      expect(valuesOf(await readPartition(log, tight))).toEqual(['before', 'after'])
      expect(await log.endOffset(place, 'read-uncommitted')).toBe(0)
    })

    test('to what does not exist are TOPIC_UNKNOWN', async () => {
      const unknown = coded('TOPIC_UNKNOWN')
      const nowhere = { topic: fresh('nowhere'), partition: 0 }
      await expect(writer.append(appendOf(nowhere, ['a']))).rejects.toEqual(unknown)
      const third = { ...place, partition: 2 }
      await expect(writer.append(appendOf(third, ['a']))).rejects.toEqual(unknown)
    })

    test('are acknowledged before flush resolves', async () => {
      let acknowledged = 0
      for (let n = 0; n < 10; n += 1) {
        void writer.append(appendOf(place, [`${n}`])).then(() => (acknowledged += 1))
      }
      await writer.flush()
      expect(acknowledged).toBe(10)
      expect(await log.endOffset(place, 'read-committed')).toBe(10)
    })

    test('get the log’s own time where the topic says LogAppendTime', async () => {
      const topic = fresh('stamped')
      const config = { 'message.timestamp.type': 'LogAppendTime' }
      await log.createTopics([{ topic, partitions: 1, config }])
      const stamped = { topic, partition: 0 }
      const beforeMs = Date.now()
      await writer.append(appendOf(stamped, [{ value: 'a', timestampMs: 5 }, { value: 'b' }]))
      const records = await readPartition(log, stamped)
      for (const { timestampMs } of records) expect(timestampMs).toBeGreaterThanOrEqual(beforeMs)
      expect(records[0]?.timestampMs).toBe(records[1]?.timestampMs as number)
      expect(await log.offsetForTimestamp(stamped, beforeMs)).toBe(0)
    })

    test('after close are LOG_CLOSED', async () => {
      const closed = await log.writer()
      await closed.append(appendOf(place, ['a']))
      await closed.close()
      await closed.close()
      await expect(closed.append(appendOf(place, ['b']))).rejects.toEqual(coded('LOG_CLOSED'))
      expect(valuesOf(await readPartition(log, place))).toEqual(['a'])
    })
  })
}
