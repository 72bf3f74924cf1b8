/** Core: readers get whole batches from their positions, bounded, and are told where they stand. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import type { FetchedBatch, Log, LogReader, LogWriter, TopicPartition } from '../log.ts'
import { coded, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf, readCount, recordsOf, readToEnd, valuesOf } from './records.ts'

const SOON = { waitMs: 0, bytesMax: 1 << 20 }
const LATER = { waitMs: 5_000, bytesMax: 1 << 20 }
const FOREVER = { waitMs: 3_600_000, bytesMax: 1 << 20 }

export function readingSection(harness: LogHarness): void {
  describe('reading', () => {
    let under: LogUnderTest
    let log: Log
    let writer: LogWriter
    let reader: LogReader
    let topic: string
    const at = (partition: number): TopicPartition => ({ topic, partition })
    const fromStart = (...partitions: readonly number[]) =>
      partitions.map((partition) => ({ topic, partition, position: 0 }))
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
      writer = await log.writer()
    })
    afterAll(() => under.dispose())
    beforeEach(async () => {
      topic = fresh('orders')
      await log.createTopics([{ topic, partitions: 4, config: {} }])
      reader = log.reader()
    })
    afterEach(() => reader.close())

    /** `count` batches of one record `name-n`. */
    async function fill(partition: number, name: string, count: number): Promise<void> {
      for (let n = 0; n < count; n += 1) {
        await writer.append(appendOf(at(partition), [`${name}-${n}`]))
      }
    }

    test('says of each batch where it lies', async () => {
      await writer.append(appendOf(at(0), ['a', 'b']))
      await writer.append(appendOf(at(0), ['c']))
      reader.assign([{ ...at(0), position: 0 }])
      const batches = await readCount(reader, 3)
      const places = batches.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])
      expect(places).toEqual([
        [0, 2],
        [2, 3],
      ])
      for (const batch of batches) expect(batch).toMatchObject(at(0))
    })

    test('from inside a batch gives that batch whole', async () => {
      await writer.append(appendOf(at(0), ['a', 'b', 'c']))
      reader.assign([{ ...at(0), position: 1 }])
      const batches = await readToEnd(reader, at(0))
      expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([0])
      expect(valuesOf(recordsOf(batches, 1))).toEqual(['b', 'c'])
    })

    test('gives an empty list when there is nothing, at once or after waiting', async () => {
      reader.assign([{ ...at(0), position: 0 }])
      expect(await reader.poll(SOON)).toEqual([])
      expect(await reader.poll({ ...SOON, waitMs: 30 })).toEqual([])
      expect(await log.reader().poll(SOON)).toEqual([])
    })

    test('that waits gets what is appended meanwhile', async () => {
      reader.assign([{ ...at(0), position: 0 }])
      expect(await reader.poll(SOON)).toEqual([])
      const polled = readCount(reader, 1)
      await writer.append(appendOf(at(0), ['a']))
      expect(valuesOf(recordsOf(await polled))).toEqual(['a'])
    })

    test('that waits ends when it is woken, now or the next time', async () => {
      reader.assign([{ ...at(0), position: 0 }])
      const waiting = reader.poll(FOREVER)
      reader.wake()
      expect(await waiting).toEqual([])
      reader.wake()
      expect(await reader.poll(FOREVER)).toEqual([])
    })

    test('stays near bytesMax, and always brings a batch', async () => {
      const largest = 1_100
      for (let n = 0; n < 40; n += 1) {
        await writer.append(appendOf(at(n % 2), ['x'.repeat(1_000)]))
      }
      reader.assign(fromStart(0, 1))
      let count = 0
      while (count < 40) {
        const batches = await reader.poll({ waitMs: 1_000, bytesMax: 5_000 })
        const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0)
        expect(bytes).toBeLessThanOrEqual(5_000 + 2 * largest)
        count += batches.length
      }
      reader.assign([{ ...at(0), position: 0 }])
      const first = await reader.poll({ waitMs: 1_000, bytesMax: 1 })
      expect(first).toHaveLength(1)
    })

    test('that is slow holds nothing but what it took: memory does not grow with the log', async () => {
      const megabyte = 1_000_000
      for (let n = 0; n < 64; n += 1) {
        await writer.append(appendOf(at(n % 4), [{ value: 'x'.repeat(megabyte), key: `${n}` }]))
      }
      reader.assign(fromStart(0, 1, 2, 3))
      Bun.gc(true)
      const before = process.memoryUsage().rss
      const taken = await reader.poll({ waitMs: 5_000, bytesMax: megabyte })
      // Time in which a reader that reads ahead without bounds would do so.
      await Bun.sleep(300)
      Bun.gc(true)
      const grownBytes = process.memoryUsage().rss - before
      expect(taken[0]?.bytes.length).toBeGreaterThan(megabyte)
      // Unread are 63 MB, which were there to be read all the while.
      expect(grownBytes).toBeLessThan(32 * megabyte)
      let count = taken.length
      while (count < 64) count += (await reader.poll({ waitMs: 5_000, bytesMax: megabyte })).length
      expect(count).toBe(64)
    }, 60_000)

    test('starves no partition while another is full', async () => {
      await fill(0, 'full', 50)
      await fill(1, 'one', 1)
      reader.assign(fromStart(0, 1))
      const seen: FetchedBatch[] = []
      for (let polls = 0; polls < 5;) {
        seen.push(...(await reader.poll({ waitMs: 1_000, bytesMax: 200 })))
        // Another broker leads it, whose answer may come later.
        if ((reader.progress(at(1))?.fetchedAtMs ?? -1) >= 0) polls += 1
        else await Bun.sleep(20)
      }
      expect(valuesOf(recordsOf(seen))).toContain('one-0')
      expect(seen.length).toBeLessThan(51)
    })

    test('is in order per partition whatever comes between', async () => {
      const all = Promise.all([fill(0, 'a', 40), fill(1, 'b', 40), fill(2, 'c', 40)])
      reader.assign(fromStart(0, 1, 2))
      const batches = await readCount(reader, 120, 500)
      await all
      for (const [partition, name] of ['a', 'b', 'c'].entries()) {
        const own = batches.filter((batch) => batch.partition === partition)
        expect(valuesOf(recordsOf(own))).toEqual(
          Array.from({ length: 40 }, (_, n) => `${name}-${n}`),
        )
      }
    })

    test('leaves a paused partition alone until it resumes', async () => {
      await fill(0, 'a', 1)
      await fill(1, 'b', 1)
      reader.assign(fromStart(0, 1))
      reader.pause(at(0))
      expect(valuesOf(recordsOf(await readCount(reader, 1)))).toEqual(['b-0'])
      expect(await reader.poll({ ...SOON, waitMs: 30 })).toEqual([])
      const waiting = reader.poll(LATER)
      reader.resume(at(0))
      expect(valuesOf(recordsOf(await waiting))).toEqual(['a-0'])
    })

    test('of another assignment goes on where it says', async () => {
      await fill(0, 'a', 3)
      await fill(1, 'b', 3)
      reader.assign([{ ...at(0), position: 0 }])
      expect(valuesOf(recordsOf(await readToEnd(reader, at(0))))).toEqual(['a-0', 'a-1', 'a-2'])
      reader.assign([
        { ...at(0), position: 3 },
        { ...at(1), position: 2 },
      ])
      expect(valuesOf(recordsOf(await readCount(reader, 1)))).toEqual(['b-2'])
      reader.assign([{ ...at(0), position: 1 }])
      expect(valuesOf(recordsOf(await readToEnd(reader, at(0))))).toEqual(['a-1', 'a-2'])
      expect(reader.progress(at(1))).toBeUndefined()
    })

    test('knows position, high watermark and when it last looked', async () => {
      await fill(0, 'a', 2)
      reader.assign([{ ...at(0), position: 0 }])
      expect(reader.progress(at(0))?.fetchedAtMs ?? -1).toBe(-1)
      await readToEnd(reader, at(0))
      const first = reader.progress(at(0))
      expect(first).toMatchObject({ position: 2, highWatermark: 2, lastStableOffset: 2 })
      // A poll may find a fetch under way that began before it, and need not wait for its end.
      let second = first
      while (second?.fetchedAtMs === first?.fetchedAtMs) {
        await reader.poll({ ...SOON, waitMs: 10 })
        second = reader.progress(at(0))
      }
      expect(second?.fetchedAtMs).toBeGreaterThan(first?.fetchedAtMs as number)
      expect(reader.progress(at(3))).toBeUndefined()
    })

    test('outside of what there is rejects once, and only that partition stops', async () => {
      await fill(0, 'a', 2)
      await fill(1, 'b', 2)
      await log.deleteRecords(at(0), 1)
      const outOfRange = coded('OFFSET_OUT_OF_RANGE')
      for (const position of [0, 3]) {
        reader.assign([
          { ...at(0), position },
          { ...at(1), position: 0 },
        ])
        const batches: FetchedBatch[] = []
        const errors: unknown[] = []
        for (let polls = 0; polls < 4; polls += 1) {
          await reader.poll({ ...SOON, waitMs: 50 }).then(
            (polled) => batches.push(...polled),
            (error) => errors.push(error),
          )
        }
        expect(errors).toEqual([outOfRange])
        expect(errors[0]).toMatchObject({ at: { ...at(0), offset: position } })
        expect(valuesOf(recordsOf(batches))).toEqual(['b-0', 'b-1'])
      }
      reader.assign([{ ...at(0), position: 1 }])
      expect(valuesOf(recordsOf(await readToEnd(reader, at(0))))).toEqual(['a-1'])
    })

    test('of a topic that does not exist is TOPIC_UNKNOWN', async () => {
      reader.assign([{ topic: fresh('nowhere'), partition: 0, position: 0 }])
      await expect(reader.poll(LATER)).rejects.toEqual(coded('TOPIC_UNKNOWN'))
    })

    test('is one poll at a time, and none after close', async () => {
      reader.assign([{ ...at(0), position: 0 }])
      const waiting = reader.poll(FOREVER)
      await expect(reader.poll(SOON)).rejects.toEqual(coded('LOG_MISUSE'))
      await reader.close()
      await expect(waiting).rejects.toEqual(coded('LOG_CLOSED'))
      await expect(reader.poll(SOON)).rejects.toEqual(coded('LOG_CLOSED'))
    })
  })
}
