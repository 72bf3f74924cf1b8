/** Core: topics are created once, described as they are, and gone when deleted. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import type { Log } from '../log.ts'
import { coded, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf } from './records.ts'

export function topicsSection(harness: LogHarness): void {
  describe('topics', () => {
    let under: LogUnderTest
    let log: Log
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
    })
    afterAll(() => under.dispose())

    test('are described as they were created, each with an id of its own', async () => {
      const [a, b] = [fresh('a'), fresh('b')]
      const config = { 'cleanup.policy': 'compact' }
      await log.createTopics([
        { topic: a, partitions: 3, config },
        { topic: b, partitions: 1, config: {} },
      ])
      const described = await log.describeTopics([a, b])
      expect(described.map(({ topic, partitions }) => [topic, partitions])).toEqual([
        [a, 3],
        [b, 1],
      ])
      expect(described[0]?.config).toMatchObject(config)
      expect(described[0]?.topicId).not.toBe(described[1]?.topicId)
      const all = await log.describeTopics()
      expect(all.map(({ topic }) => topic)).toEqual(expect.arrayContaining([a, b]))
    })

    test('that do not exist are absent from the answer', async () => {
      expect(await log.describeTopics([fresh('nowhere')])).toEqual([])
    })

    test('are created once: again is no error, and leaves the config alone', async () => {
      const topic = fresh('orders')
      await log.createTopics([{ topic, partitions: 2, config: { 'retention.ms': '1000' } }])
      const [first] = await log.describeTopics([topic])
      await log.createTopics([{ topic, partitions: 2, config: { 'retention.ms': '9000' } }])
      expect(await log.describeTopics([topic])).toEqual([first as NonNullable<typeof first>])
      expect(first?.config['retention.ms']).toBe('1000')
    })

    test('with another partition count are TOPIC_MISMATCH', async () => {
      const topic = fresh('orders')
      await log.createTopics([{ topic, partitions: 2, config: {} }])
      const again = log.createTopics([{ topic, partitions: 3, config: {} }])
      await expect(again).rejects.toEqual(coded('TOPIC_MISMATCH'))
      expect((await log.describeTopics([topic]))[0]?.partitions).toBe(2)
    })

    test.each([
      ['a space', { topic: 'two words', partitions: 1, config: {} }, 'two words'],
      ['a slash', { topic: 'a/b', partitions: 1, config: {} }, 'a/b'],
      ['nothing', { topic: '', partitions: 1, config: {} }, ''],
      ['dots only', { topic: '..', partitions: 1, config: {} }, '..'],
      ['250 letters', { topic: 'x'.repeat(250), partitions: 1, config: {} }, 'xxx'],
      ['an unknown setting', { topic: 'ok', partitions: 1, config: { colour: 'red' } }, 'colour'],
      [
        'an impossible value',
        { topic: 'ok', partitions: 1, config: { 'retention.ms': 'long' } },
        'retention.ms',
      ],
      [
        'an unknown policy',
        { topic: 'ok', partitions: 1, config: { 'cleanup.policy': 'burn' } },
        'cleanup.policy',
      ],
    ])('with %s are TOPIC_INVALID, which names it', async (_what, spec, named) => {
      const refused = log.createTopics([spec])
      await expect(refused).rejects.toEqual(coded('TOPIC_INVALID'))
      await expect(refused).rejects.toThrow(named)
    })

    test('take the settings that Kafka has for what a log does', async () => {
      const topic = fresh('all')
      const config = {
        'cleanup.policy': 'compact,delete',
        'retention.ms': '604800000',
        'retention.bytes': '-1',
        'segment.bytes': '52428800',
        'min.compaction.lag.ms': '0',
        'delete.retention.ms': '604800000',
        'max.message.bytes': '2000000',
        'message.timestamp.type': 'CreateTime',
        'compression.type': 'producer',
      }
      await log.createTopics([{ topic, partitions: 1, config }])
      expect((await log.describeTopics([topic]))[0]?.config).toMatchObject(config)
    })

    test('that are deleted are gone; one of the same name is another, and empty', async () => {
      const topic = fresh('orders')
      const place = { topic, partition: 0 }
      await log.createTopics([{ topic, partitions: 1, config: {} }])
      const writer = await log.writer()
      await writer.append(appendOf(place, ['a', 'b']))
      const [before] = await log.describeTopics([topic])
      await log.deleteTopics([topic])
      expect(await log.describeTopics([topic])).toEqual([])
      await expect(log.endOffset(place, 'read-committed')).rejects.toEqual(coded('TOPIC_UNKNOWN'))

      await log.createTopics([{ topic, partitions: 1, config: {} }])
      const [after] = await log.describeTopics([topic])
      expect(after?.topicId).not.toBe(before?.topicId)
      expect(await log.earliestOffset(place)).toBe(0)
      expect(await log.endOffset(place, 'read-uncommitted')).toBe(0)
      await writer.close()
    })

    test('that do not exist are TOPIC_UNKNOWN wherever one is needed', async () => {
      const topic = fresh('orders')
      await log.createTopics([{ topic, partitions: 1, config: {} }])
      const unknown = coded('TOPIC_UNKNOWN')
      for (const place of [
        { topic: fresh('nowhere'), partition: 0 },
        { topic, partition: 1 },
      ]) {
        await expect(log.earliestOffset(place)).rejects.toEqual(unknown)
        await expect(log.endOffset(place, 'read-committed')).rejects.toEqual(unknown)
        await expect(log.offsetForTimestamp(place, 0)).rejects.toEqual(unknown)
        await expect(log.leaderEpoch(place)).rejects.toEqual(unknown)
        await expect(log.deleteRecords(place, 0)).rejects.toEqual(unknown)
      }
    })

    test('live in a log that has an id', () => {
      expect(log.id).not.toBe('')
      expect(under.log.id).toBe(log.id)
    })
  })
}
