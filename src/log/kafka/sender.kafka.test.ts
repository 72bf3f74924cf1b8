/** Appends on real brokers: what gets lost, who dies and who leads may change, order and number of records may not. */
import { kafkaForTests, startCluster } from '#kafka-for-tests'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { coded } from '../log.contract/harness.ts'
import { appendOf } from '../log.contract/records.ts'
import type { Appended } from '../log.ts'
import { Sender } from './sender.ts'
import { API, type Fate } from './test-helpers/faulty-cluster.ts'
import { WriterRig } from './test-helpers/writer-rig.ts'

const kafka = await kafkaForTests()
const LONG_MS = 300_000

/** The same numbers in the same order, wherever it is run. */
function coin(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

describe.skipIf(kafka === undefined)('appends to a broker', () => {
  let rig: WriterRig
  beforeEach(async () => {
    rig = await WriterRig.open(kafka?.bootstrap ?? '')
  })
  afterEach(() => rig.close())

  test(
    'are in order and once when a third of requests and answers get lost',
    async () => {
      const sender = new Sender(rig.faulty)
      const next = coin(20_261_125)
      rig.faulty.decide = (api): Fate => {
        if (api !== API.produce) return 'none'
        const drawn = next()
        return drawn < 0.15 ? 'request' : drawn < 0.35 ? 'reply' : 'none'
      }
      const appended: Promise<Appended>[] = []
      for (let n = 0; n < 3_000; n += 1) {
        appended.push(sender.append(appendOf(rig.at(n % 3), [`${n}`])))
        if (n % 20 === 19) await appended.at(-1)
      }
      const offsets = (await Promise.all(appended)).map(({ baseOffset }) => baseOffset)
      expect(offsets).toEqual(Array.from({ length: 3_000 }, (_, n) => Math.floor(n / 3)))
      for (const partition of [0, 1, 2]) {
        const expected = Array.from({ length: 1_000 }, (_, n) => `${n * 3 + partition}`)
        expect(await rig.values(partition)).toEqual(expected)
      }
      expect(rig.faulty.count(API.produce, 'reply')).toBeGreaterThan(20)
      expect(rig.faulty.count(API.produce, 'request')).toBeGreaterThan(20)
    },
    LONG_MS,
  )

  test('are joined while a request is under way, and wait for nothing when none is', async () => {
    const sender = new Sender(rig.faulty)
    await sender.append(appendOf(rig.at(0), ['first']))
    expect(rig.faulty.count(API.produce)).toBe(1)
    const rest = Array.from({ length: 200 }, (_, n) => sender.append(appendOf(rig.at(0), [`${n}`])))
    await Promise.all(rest)
    expect(rig.faulty.count(API.produce)).toBe(2)
  })

  test('go on where sequences wrap', async () => {
    const sender = new Sender(rig.faulty, { firstSequence: 2 ** 31 - 3 })
    for (let n = 0; n < 4; n += 1) await sender.append(appendOf(rig.at(0), [`${n}`, `${n}+`]))
    expect(await rig.values(0)).toEqual(['0', '0+', '1', '1+', '2', '2+', '3', '3+'])
  })

  test('that are given up say so, and a copy that comes late is not written behind the next', async () => {
    const sender = new Sender(rig.faulty, { appendTimeoutMs: 300 })
    await sender.append(appendOf(rig.at(0), ['before']))
    rig.faulty.decide = () => 'late'
    const [first, second] = await Promise.allSettled([
      sender.append(appendOf(rig.at(0), ['lost', 'too'])),
      sender.append(appendOf(rig.at(1), ['other'])),
    ])
    for (const result of [first, second]) {
      expect(result.status === 'rejected' && result.reason).toMatchObject({
        code: 'LOG_UNAVAILABLE',
        retriable: true,
        message: expect.stringContaining('it may be in the log as well'),
      })
    }
    rig.faulty.decide = () => 'none'
    expect(await sender.append(appendOf(rig.at(0), ['after']))).toEqual({ baseOffset: 1, count: 1 })
    const late = await rig.faulty.deliverLate()
    expect(late.length).toBeGreaterThan(1)
    expect(await rig.values(0)).toEqual(['before', 'after'])
    expect(await sender.append(appendOf(rig.at(0), ['last']))).toEqual({ baseOffset: 2, count: 1 })
  })

  test('beyond the buffer wait for room, and keep their order', async () => {
    const sender = new Sender(rig.faulty, { bufferBytesMax: 1_000 })
    const value = 'x'.repeat(400)
    const appended = await Promise.all(
      Array.from({ length: 50 }, (_, n) => sender.append(appendOf(rig.at(0), [`${n} ${value}`]))),
    )
    expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([...Array(50).keys()])
    expect(rig.faulty.count(API.produce)).toBeGreaterThan(20)
  })

  test('that one record spoils fail alone', async () => {
    const sender = new Sender(rig.faulty)
    const { topic } = rig
    const compacted = `${topic}-compacted`
    const config = { 'cleanup.policy': 'compact' }
    await rig.log.createTopics([{ topic: compacted, partitions: 1, config }])
    const place = { topic: compacted, partition: 0 }
    const results = await Promise.allSettled([
      sender.append(appendOf(place, [{ key: 'a', value: '1' }])),
      sender.append(appendOf(place, ['no key'])),
      sender.append(appendOf(place, [{ key: 'b', value: '2' }])),
    ])
    expect(results).toEqual([
      { status: 'fulfilled', value: { baseOffset: 0, count: 1 } },
      { status: 'rejected', reason: coded('LOG_REFUSED') },
      { status: 'fulfilled', value: { baseOffset: 1, count: 1 } },
    ])
  })
})

describe.skipIf(kafka === undefined)('appends to brokers that die', () => {
  test(
    'are in order and once over kill -9 of the only one, and its return',
    async () => {
      const cluster = await startCluster()
      const rig = await WriterRig.open(cluster.bootstrap)
      try {
        const sender = new Sender(rig.faulty, { appendTimeoutMs: 60_000 })
        const appended: Promise<Appended>[] = []
        const append = (n: number): void => {
          appended.push(sender.append(appendOf(rig.at(n % 3), [`${n}`])))
        }
        for (let n = 0; n < 300; n += 1) append(n)
        await appended[0]
        await cluster.kill(1)
        for (let n = 300; n < 600; n += 1) append(n)
        await cluster.start(1)
        for (let n = 600; n < 900; n += 1) append(n)
        await Promise.all(appended)
        for (const partition of [0, 1, 2]) {
          const expected = Array.from({ length: 300 }, (_, n) => `${n * 3 + partition}`)
          expect(await rig.values(partition)).toEqual(expected)
        }
      } finally {
        await rig.close()
        await cluster.down()
      }
    },
    LONG_MS,
  )

  test(
    'follow the leader when brokers die and return',
    async () => {
      const cluster = await startCluster({ brokers: 3 })
      const rig = await WriterRig.open(cluster.bootstrap)
      try {
        const sender = new Sender(rig.faulty, { appendTimeoutMs: 60_000 })
        let count = 0
        const ended = new AbortController()
        const load = (async () => {
          const unsettled = new Set<Promise<unknown>>()
          while (!ended.signal.aborted) {
            const appended = sender.append(appendOf(rig.at(count % 3), [`${count}`]))
            count += 1
            unsettled.add(appended)
            void appended.then(() => unsettled.delete(appended))
            if (unsettled.size >= 30) await Promise.race(unsettled)
          }
          await Promise.all(unsettled)
        })()
        const isBeyond = (number: number): boolean => count >= number
        for (const id of cluster.brokerIds.slice(0, 2)) {
          const enough = count + 300
          await cluster.kill(id)
          // Somebody else leads now: acknowledged appends say so.
          while (!isBeyond(enough)) await Bun.sleep(50)
          await cluster.start(id)
        }
        ended.abort()
        await load
        for (const partition of [0, 1, 2]) {
          const values = await rig.values(partition)
          expect(values).toEqual(values.map((_, n) => `${n * 3 + partition}`))
          expect(values.length).toBe(Math.ceil((count - partition) / 3))
        }
        const nodes = new Set(rig.faulty.sent.map(({ nodeId }) => nodeId))
        expect([...nodes].filter((id) => id > 0).length).toBeGreaterThanOrEqual(2)
      } finally {
        await rig.close()
        await cluster.down()
      }
    },
    LONG_MS,
  )
})
