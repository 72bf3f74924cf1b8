import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { coded } from '../log.contract/harness.ts'
import { recordsOf, valuesOf } from '../log.contract/records.ts'
import type { FetchedBatch, LogReader, TopicPartition } from '../log.ts'
import { BUFFER_BYTES_MAX } from './broker-fetches.ts'
import { CODE } from './errors.ts'
import { createReader } from './fetcher.ts'
import { FakeBrokers } from './test-helpers/fake-brokers.ts'

const topic = 'orders'
const MEGABYTE = 1 << 20
const at = (partition: number): TopicPartition => ({ topic, partition })
const NOW = { waitMs: 0, bytesMax: 64 * MEGABYTE }

describe('a reader', () => {
  let brokers: FakeBrokers
  let reader: LogReader
  beforeEach(() => {
    brokers = new FakeBrokers()
    reader = createReader(brokers, { isolation: 'read-committed' })
  })
  afterEach(() => reader.close())

  function assign(...partitions: readonly (number | readonly [number, number])[]): void {
    reader.assign(
      partitions.map((each) => {
        const [partition, position] = typeof each === 'number' ? [each, 0] : each
        return { topic, partition, position }
      }),
    )
  }

  /** What is buffered now, and no more. */
  async function take(): Promise<readonly (string | undefined)[]> {
    await brokers.settle()
    return texts(await reader.poll(NOW))
  }

  const texts = (batches: readonly FetchedBatch[]): readonly (string | undefined)[] =>
    valuesOf(recordsOf(batches)).map((value) => value?.replace(/\.+$/, ''))

  const lastAsked = (): readonly number[] =>
    brokers.fetches.at(-1)?.asked.map(([partition]) => partition) ?? []

  describe('asks', () => {
    test('each broker for all of its partitions at once, one request in flight', async () => {
      brokers.create(topic, [1, 2, 1, 2])
      for (const partition of [0, 1, 2, 3]) brokers.append(at(partition), `${partition}`)
      assign(0, 1, 2, 3)
      expect((await take()).toSorted()).toEqual(['0', '1', '2', '3'])
      const first = brokers.fetches.slice(0, 2).map(({ nodeId, asked }) => [nodeId, asked])
      expect(first.toSorted()).toEqual([
        [
          1,
          [
            [0, 0],
            [2, 0],
          ],
        ],
        [
          2,
          [
            [1, 0],
            [3, 0],
          ],
        ],
      ])
      for (let n = 0; n < 20; n += 1) {
        brokers.append(at(n % 4), `${n}`)
        await take()
      }
      expect(brokers.inFlightMost).toBe(1)
    })

    test('every broker, however many there are', async () => {
      const nodes = Array.from({ length: 30 }, (_, n) => n)
      brokers.create(topic, nodes)
      assign(...nodes)
      await brokers.settle()
      expect([...brokers.inFlight.values()]).toEqual(nodes.map(() => 1))
    })

    test('for what was served longest ago first', async () => {
      brokers.create(topic, [1, 1, 1])
      assign(0, 1, 2)
      for (const partition of [0, 2]) {
        brokers.append(at(partition), 'a')
        await take()
      }
      brokers.append(at(1), 'a')
      await take()
      expect(lastAsked()).toEqual([0, 2, 1])
    })

    test.each([
      [0, 20],
      [100, 100],
      [60_000, 250],
    ])('a broker to wait as long as the caller: polls of %d ms, %d', async (waitMs, askedMs) => {
      brokers.create(topic, [1])
      assign(0)
      const polled = reader.poll({ waitMs, bytesMax: 1 })
      await brokers.settle()
      expect(brokers.fetches.map((each) => each.waitMs)).toEqual([askedMs])
      reader.wake()
      await polled
      // Without another poll it is soon asked seldom.
      await brokers.pass(1_000)
      expect(brokers.fetches.slice(-2).map((each) => each.waitMs)).toEqual([250, 250])
    })

    test('not for paused partitions, and keeps what they have for when they resume', async () => {
      brokers.create(topic, [1, 1])
      for (const partition of [0, 1]) brokers.append(at(partition), `${partition}`)
      assign(0, 1)
      await brokers.settle()
      reader.pause(at(0))
      expect(await take()).toEqual(['1'])
      brokers.append(at(1), 'more')
      expect(await take()).toEqual(['more'])
      expect(lastAsked()).toEqual([1])
      const fetches = brokers.fetches.length
      reader.resume(at(0))
      expect(texts(await reader.poll(NOW))).toEqual(['0'])
      expect(brokers.fetches.length).toBe(fetches)
      await brokers.pass(300)
      expect(lastAsked().toSorted()).toEqual([0, 1])
    })

    test('for nothing twice that is buffered for a partition that keeps its position', async () => {
      brokers.create(topic, [1, 1])
      for (const partition of [0, 1]) brokers.append(at(partition), `${partition}`)
      assign(0)
      await brokers.settle()
      assign(0, 1)
      expect((await take()).toSorted()).toEqual(['0'])
      await brokers.pass(300)
      expect(await take()).toEqual(['1'])
      const offsets = brokers.fetches.flatMap(({ asked }) => asked)
      expect(offsets.filter(([partition, offset]) => partition === 0 && offset === 0)).toHaveLength(
        1,
      )
    })

    test('anew where another position is assigned; what was under way for the old one is dropped', async () => {
      brokers.create(topic, [1])
      for (const value of ['a', 'b', 'c']) brokers.append(at(0), value)
      assign(0)
      await brokers.settle()
      assign([0, 2])
      await brokers.pass(300)
      expect(await take()).toEqual(['c'])
      // A long poll from offset 3 is under way.
      assign([0, 1])
      brokers.append(at(0), 'd')
      await brokers.pass(300)
      expect(await take()).toEqual(['b', 'c', 'd'])
    })
  })

  describe('holds no more than it may', () => {
    /** A megabyte and a half to each. */
    function fill(partitions: readonly number[]): void {
      for (const partition of partitions) {
        for (let n = 0; n < 24; n += 1) brokers.append(at(partition), `${n}`, MEGABYTE / 16)
      }
    }
    const sizeOf = (batches: readonly FetchedBatch[]): number =>
      batches.reduce((sum, { bytes }) => sum + bytes.length, 0)

    test('while nobody polls, however much there is', async () => {
      const partitions = Array.from({ length: 40 }, (_, n) => n)
      brokers.create(
        topic,
        partitions.map((n) => n % 2),
      )
      fill(partitions)
      assign(...partitions)
      await brokers.pass(1_000)
      const before = brokers.fetches.length
      await brokers.pass(1_000)
      expect(brokers.fetches.length).toBe(before)
      const first = sizeOf(await reader.poll(NOW))
      expect(first).toBeGreaterThan(BUFFER_BYTES_MAX - 4 * MEGABYTE)
      // One batch a broker may be beyond.
      const bytesMax = BUFFER_BYTES_MAX + 2 * (MEGABYTE / 16 + 100)
      expect(first).toBeLessThanOrEqual(bytesMax)
      let bytes = first
      while (bytes < 60 * MEGABYTE) {
        await brokers.pass(20)
        const more = sizeOf(await reader.poll(NOW))
        expect(more).toBeGreaterThan(0)
        expect(more).toBeLessThanOrEqual(bytesMax)
        bytes += more
      }
    })

    test('and lets go of what is paused before that keeps others from being read', async () => {
      const paused = Array.from({ length: 20 }, (_, partition) => partition)
      brokers.create(topic, [...paused.map(() => 1), 1])
      fill(paused)
      assign(...paused)
      await brokers.pass(1_000)
      assign(...paused, 20)
      brokers.append(at(20), 'alone')
      await brokers.pass(1_000)
      for (const partition of paused) reader.pause(at(partition))
      expect(await take()).toEqual([])
      const polled = reader.poll({ waitMs: 1_000, bytesMax: MEGABYTE })
      await brokers.pass(1_000)
      expect(texts(await polled)).toEqual(['alone'])
      for (const partition of paused) reader.resume(at(partition))
      const seen: (string | undefined)[][] = paused.map(() => [])
      while (seen.some((values) => values.length < 24)) {
        await brokers.pass(20)
        for (const batch of await reader.poll(NOW)) seen[batch.partition]?.push(...texts([batch]))
      }
      const expected = Array.from({ length: 24 }, (_, n) => `${n}`)
      for (const values of seen) expect(values).toEqual(expected)
    })
  })

  describe('when a broker fails', () => {
    test('reads from the others, and finds the new leader of the frozen one’s partitions', async () => {
      brokers.create(topic, [1, 2])
      brokers.append(at(0), 'before')
      assign(0, 1)
      expect(await take()).toEqual(['before'])
      brokers.set(1, 'frozen')
      await brokers.pass(300)
      for (let n = 0; n < 5; n += 1) {
        brokers.append(at(1), `${n}`)
        expect(await take()).toEqual([`${n}`])
      }
      // The others elect another leader; nothing tells the reader but what it asks regularly.
      brokers.lead(at(0), 2)
      brokers.append(at(0), 'after')
      await brokers.pass(5_500)
      expect(await take()).toEqual(['after'])
    })

    test('tries one that is down again, after waits that grow, until it is back', async () => {
      brokers.create(topic, [1])
      assign(0)
      await brokers.settle()
      brokers.set(1, 'down')
      await brokers.pass(300)
      const before = brokers.refreshes
      await brokers.pass(10_000)
      const tries = brokers.refreshes - before
      expect(tries).toBeGreaterThan(10)
      expect(tries).toBeLessThan(60)
      brokers.set(1, 'up')
      brokers.append(at(0), 'back')
      await brokers.pass(600)
      expect(await take()).toEqual(['back'])
    })
  })

  describe('when a partition has moved', () => {
    test('follows the hint of a broker that leads no more, without asking anybody', async () => {
      brokers.create(topic, [1])
      assign(0)
      await brokers.settle()
      const { refreshes } = brokers
      brokers.refuse(at(0), CODE.notLeaderOrFollower)
      brokers.lead(at(0), 2)
      brokers.append(at(0), 'moved')
      await brokers.pass(300)
      expect(await take()).toEqual(['moved'])
      expect(brokers.fetches.at(-1)?.nodeId).toBe(2)
      expect(brokers.refreshes).toBe(refreshes)
    })

    test.each([
      CODE.unknownTopicOrPartition,
      CODE.leaderNotAvailable,
      CODE.fencedLeaderEpoch,
      CODE.unknownLeaderEpoch,
      CODE.unknownTopicId,
    ])('looks it up after code %d, and the others go on', async (code) => {
      brokers.create(topic, [1, 1])
      assign(0, 1)
      await brokers.settle()
      const { refreshes } = brokers
      brokers.refuse(at(0), code, 3)
      for (const partition of [0, 1]) brokers.append(at(partition), `${partition}`)
      await brokers.settle()
      expect(await take()).toContain('1')
      await brokers.pass(1_000)
      expect(await take()).toEqual(['0'])
      expect(brokers.refreshes).toBeGreaterThan(refreshes)
    })

    test('says TOPIC_UNKNOWN when the topic is gone, and when another has its name', async () => {
      for (const isCreatedAnew of [false, true]) {
        brokers.create(topic, [1], 1)
        assign(0)
        await brokers.settle()
        brokers.delete(topic)
        if (isCreatedAnew) brokers.create(topic, [1], 2)
        const polled = reader.poll({ waitMs: 60_000, bytesMax: 1 }).catch((error: unknown) => error)
        await brokers.pass(3_000)
        expect(await polled).toEqual(coded('TOPIC_UNKNOWN'))
        // Assigned anew, it is the new topic that is meant.
        assign()
      }
      brokers.append(at(0), 'new')
      assign(0)
      expect(await take()).toEqual(['new'])
    })
  })

  describe('tells one partition’s error once, after what came before it, and the others go on', () => {
    const rest = ['0', '1', '2', '3']
    async function polls(count: number): Promise<readonly unknown[]> {
      const seen: unknown[] = []
      for (let n = 0; n < count; n += 1) {
        await brokers.pass(100)
        const polled = reader.poll(NOW)
        seen.push(
          ...(await polled.then(texts, ({ code, at: where }: { code: string; at: object }) => [
            { code, ...where },
          ])),
        )
        brokers.append(at(1), `${n}`)
      }
      return seen
    }

    test.each([
      ['OFFSET_OUT_OF_RANGE', CODE.offsetOutOfRange],
      ['LOG_CORRUPT', CODE.corruptMessage],
      ['LOG_REFUSED', CODE.topicAuthorizationFailed],
    ] as const)('%s of the broker', async (code, errorCode) => {
      brokers.create(topic, [1, 1])
      brokers.append(at(0), 'before')
      assign(0, 1)
      await brokers.settle()
      brokers.refuse(at(0), errorCode, 100)
      expect(await polls(5)).toEqual(['before', { code, ...at(0), offset: 1 }, ...rest])
    })

    test('LOG_CORRUPT of a damaged batch', async () => {
      brokers.create(topic, [1, 1])
      for (const value of ['before', 'damaged', 'behind']) brokers.append(at(0), value)
      brokers.damage(at(0), 1)
      assign(0, 1)
      const error = { code: 'LOG_CORRUPT', ...at(0), offset: 1 }
      expect(await polls(5)).toEqual(['before', error, ...rest])
    })
  })

  test('is at its end only when everything that was fetched has been taken', async () => {
    brokers.create(topic, [1])
    for (const value of ['a', 'b']) brokers.append(at(0), value)
    assign(0)
    expect(reader.progress(at(0))).toMatchObject({ position: 0, fetchedAtMs: -1 })
    await brokers.settle()
    expect(reader.progress(at(0))).toMatchObject({ position: 0, highWatermark: 2 })
    await reader.poll({ waitMs: 0, bytesMax: 1 })
    expect(reader.progress(at(0))).toMatchObject({ position: 1, highWatermark: 2 })
    await reader.poll({ waitMs: 0, bytesMax: 1 })
    expect(reader.progress(at(0))).toMatchObject({ position: 2, highWatermark: 2 })
    const before = reader.progress(at(0))?.fetchedAtMs ?? 0
    await brokers.pass(300)
    expect(reader.progress(at(0))?.fetchedAtMs).toBeGreaterThan(before)
  })
})
