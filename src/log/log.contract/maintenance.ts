/** Core: what may disappear, what must stay, and how to find one's way in what is left. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import type { Log, LogWriter, TopicConfig, TopicPartition } from '../log.ts'
import { coded, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf, readPartition, readToEnd, recordsOf, valuesOf } from './records.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const LONG_MS = 120_000
/**
 * Where retention and compaction work on whole segments, and never on the last, a batch a minute younger than the one before
 * begins a new one.
 */
const SEGMENT_A_MINUTE: TopicConfig = { 'segment.ms': '1000' }

export function maintenanceSection(harness: LogHarness): void {
  describe('maintenance', () => {
    const patientMs = LONG_MS * (harness.patience ?? 1)
    let under: LogUnderTest
    let log: Log
    let writer: LogWriter
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
      writer = await log.writer()
    })
    afterAll(() => under.dispose())

    async function topicWith(config: TopicConfig): Promise<TopicPartition> {
      const topic = fresh('kept')
      await log.createTopics([{ topic, partitions: 1, config }])
      return { topic, partition: 0 }
    }

    test('deleteRecords removes what is below, and never what is not', async () => {
      const place = await topicWith({})
      await writer.append(appendOf(place, ['a', 'b', 'c']))
      await writer.append(appendOf(place, ['d']))
      await log.deleteRecords(place, 2)
      expect(await log.earliestOffset(place)).toBe(2)
      expect(valuesOf(await readPartition(log, place))).toEqual(['c', 'd'])
      await log.deleteRecords(place, 1)
      expect(await log.earliestOffset(place)).toBe(2)
      const tooFar = log.deleteRecords(place, 5)
      await expect(tooFar).rejects.toEqual(coded('OFFSET_OUT_OF_RANGE'))
      await log.deleteRecords(place, 4)
      expect(await log.earliestOffset(place)).toBe(4)
      expect(await log.endOffset(place, 'read-committed')).toBe(4)
      expect(await readPartition(log, place)).toEqual([])
      expect(await writer.append(appendOf(place, ['e']))).toEqual({ baseOffset: 4, count: 1 })
    })

    test(
      'retention by time removes old batches and keeps young ones',
      async () => {
        const place = await topicWith({ ...SEGMENT_A_MINUTE, 'retention.ms': `${HOUR_MS}` })
        const nowMs = Date.now()
        for (const ageMs of [3 * HOUR_MS, 2 * HOUR_MS, MINUTE_MS, 0]) {
          const record = { value: `${ageMs}`, timestampMs: nowMs - ageMs }
          await writer.append(appendOf(place, [record]))
        }
        await under.settleMaintenance()
        expect(valuesOf(await readPartition(log, place))).toEqual(['60000', '0'])
        expect(await log.earliestOffset(place)).toBe(2)
        expect(await log.endOffset(place, 'read-committed')).toBe(4)
      },
      patientMs,
    )

    test(
      'retention by size keeps at least that much, at the end',
      async () => {
        const place = await topicWith({
          ...SEGMENT_A_MINUTE,
          'retention.ms': '-1',
          'retention.bytes': '5000',
        })
        const startMs = Date.now() - HOUR_MS
        for (let n = 0; n < 20; n += 1) {
          const record = { value: `${n}`.padEnd(1_000), timestampMs: startMs + n * MINUTE_MS }
          await writer.append(appendOf(place, [record]))
        }
        await under.settleMaintenance()
        const records = await readPartition(log, place)
        expect(records.at(-1)?.offset).toBe(19)
        expect(records.length).toBeGreaterThanOrEqual(5)
        expect(records.length).toBeLessThan(20)
        expect(records[0]?.offset).toBe(await log.earliestOffset(place))
      },
      patientMs,
    )

    test(
      'without a limit nothing disappears',
      async () => {
        const place = await topicWith({ 'retention.ms': '-1' })
        await writer.append(appendOf(place, [{ value: 'ancient', timestampMs: 0 }]))
        await under.settleMaintenance()
        expect(valuesOf(await readPartition(log, place))).toEqual(['ancient'])
      },
      patientMs,
    )

    test.each(['none', 'zstd'] as const)(
      'compaction keeps the last value of every key, and live tombstones (%s)',
      async (compression) => {
        const place = await topicWith({
          ...SEGMENT_A_MINUTE,
          'cleanup.policy': 'compact',
          'delete.retention.ms': `${24 * HOUR_MS}`,
          'min.cleanable.dirty.ratio': '0',
        })
        let timestampMs = Date.now() - HOUR_MS
        const append = (...records: readonly (readonly [string, string | null])[]) => {
          timestampMs += MINUTE_MS
          return writer.append(
            appendOf(
              place,
              records.map(([key, value]) => ({
                key,
                value,
                timestampMs,
                headers: [['h', Buffer.from(key)]] as const,
              })),
              compression,
            ),
          )
        }
        await append(['a', '1'], ['b', '1'], ['c', '1'])
        await append(['a', '2'])
        await append(['b', null], ['d', '1'], ['a', '3'])
        await under.settleMaintenance()
        await under.settleMaintenance()
        const records = await readPartition(log, place)
        const last = new Map(records.map((record) => [record.key, record]))
        expect([...last].map(([key, { offset, value }]) => [key, offset, value])).toEqual(
          expect.arrayContaining([
            ['a', 6, '3'],
            ['b', 4, null],
            ['c', 2, '1'],
            ['d', 5, '1'],
          ]),
        )
        // What was written over in an older batch is gone.
        expect(records.map(({ offset }) => offset)).not.toContain(0)
        for (const { key, headers } of records) expect(headers).toEqual([['h', key]])
        expect(records.map(({ offset }) => offset)).toEqual(
          records.map(({ offset }) => offset).toSorted((a, b) => a - b),
        )
        expect(await log.endOffset(place, 'read-committed')).toBe(7)
        expect((await log.tombstonesRemovedBelow(place)) ?? 0).toBe(0)
        // A compacted topic of a broker takes no record without a key.
        const next = appendOf(place, [{ key: 'next', value: '1' }])
        expect(await writer.append(next)).toMatchObject({ baseOffset: 7 })
      },
      patientMs,
    )

    test(
      'R7: a tombstone that compaction removed is told of',
      async () => {
        const place = await topicWith({
          ...SEGMENT_A_MINUTE,
          'cleanup.policy': 'compact',
          'delete.retention.ms': '0',
          'min.cleanable.dirty.ratio': '0',
        })
        const timestampMs = Date.now() - MINUTE_MS
        await writer.append(
          appendOf(place, [
            { key: 'a', value: '1', timestampMs },
            { key: 'b', value: '1', timestampMs },
          ]),
        )
        await writer.append(appendOf(place, [{ key: 'a', value: null }]))
        await under.settleMaintenance()
        await under.settleMaintenance()
        const records = await readPartition(log, place)
        const removedBelow = await log.tombstonesRemovedBelow(place)
        const tombstoneStays = records.some(({ offset }) => offset === 2)
        if (!tombstoneStays && removedBelow !== undefined) expect(removedBelow).toBe(3)
        expect(records.some(({ key, value }) => key === 'b' && value === '1')).toBe(true)
        // Whatever was removed at the tail, a reader arrives at the end and can tell.
        const reader = log.reader()
        reader.assign([{ ...place, position: 2 }])
        await readToEnd(reader, place)
        expect(reader.progress(place)).toMatchObject({ position: 3, highWatermark: 3 })
        await reader.close()
      },
      patientMs,
    )

    test(
      'a reader goes on over what was compacted away between two polls',
      async () => {
        const place = await topicWith({
          ...SEGMENT_A_MINUTE,
          'cleanup.policy': 'compact',
          'min.cleanable.dirty.ratio': '0',
        })
        const startMs = Date.now() - HOUR_MS
        for (let n = 0; n < 30; n += 1) {
          const timestampMs = startMs + n * MINUTE_MS
          await writer.append(appendOf(place, [{ key: `${n % 3}`, value: `${n}`, timestampMs }]))
        }
        const reader = log.reader()
        reader.assign([{ ...place, position: 0 }])
        const first = await reader.poll({ waitMs: 1_000, bytesMax: 200 })
        await under.settleMaintenance()
        const seen = [...recordsOf(first), ...recordsOf(await readToEnd(reader, place))]
        const offsets = seen.map(({ offset }) => offset)
        expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
        expect(new Set(offsets).size).toBe(offsets.length)
        expect(valuesOf(seen)).toEqual(expect.arrayContaining(['27', '28', '29']))
        await reader.close()
      },
      patientMs,
    )

    test('offsets are found by timestamp, also where timestamps are out of order', async () => {
      const place = await topicWith({ 'retention.ms': '-1' })
      for (const times of [[100, 300], [200], [250, 400]]) {
        const records = times.map((timestampMs) => ({ value: `${timestampMs}`, timestampMs }))
        await writer.append(appendOf(place, records))
      }
      const found = await Promise.all(
        [0, 100, 101, 300, 301, 400, 401].map((timestampMs) => {
          return log.offsetForTimestamp(place, timestampMs)
        }),
      )
      expect(found).toEqual([0, 0, 1, 1, 4, 4, undefined])
      await log.deleteRecords(place, 2)
      expect(await log.offsetForTimestamp(place, 0)).toBe(2)
      const empty = await topicWith({})
      expect(await log.offsetForTimestamp(empty, 0)).toBeUndefined()
    })

    test('R6: a leader epoch ends where the next begins, the current one at the end', async () => {
      const place = await topicWith({})
      const epoch = await log.leaderEpoch(place)
      await writer.append(appendOf(place, ['a', 'b']))
      expect(await log.endOffsetOfEpoch(place, epoch)).toBe(2)
      expect(await log.endOffsetOfEpoch(place, epoch + 7)).toBeUndefined()
      if (!under.startLeaderEpoch) return
      await under.startLeaderEpoch(place)
      const next = await log.leaderEpoch(place)
      expect(next).toBeGreaterThan(epoch)
      await writer.append(appendOf(place, ['c']))
      expect(await log.endOffsetOfEpoch(place, epoch)).toBe(2)
      expect(await log.endOffsetOfEpoch(place, next)).toBe(3)
      expect(valuesOf(await readPartition(log, place))).toEqual(['a', 'b', 'c'])
    })
  })
}
