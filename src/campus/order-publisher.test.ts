/** R20: orders are taken while brokers are away, and reach the log in their order, none lost. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  noFailpoint,
  openLog,
  systemClock as clock,
  systemRandom as random,
  type LogWriter,
} from '#millrace'
import { OutboxPublisher } from './order-publisher.ts'
import { Outbox } from './outbox.ts'
import type { Order } from './schemas.ts'
import { AwayLog, type Presence } from './test-helper/away-log.ts'
import { eventually } from './test-helper/eventually.ts'
import { readRecords } from './test-helper/read-records.ts'
import { orderOf } from './test-helper/records.ts'
import { campusTopics, orders } from './topics.ts'

const PARTITIONS = 2
const ANSWER_WITHIN_MS = 30

let folder: string
let path: string
let log: AwayLog
let writer: LogWriter
let outbox: Outbox
let publisher: OutboxPublisher

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'publisher-'))
  path = join(folder, 'ingress.db')
  log = new AwayLog(await openLog('memory:', { clock, random }))
  await log.createTopics(campusTopics(PARTITIONS))
  writer = await log.writer()
  open(1_000)
})
afterEach(async () => {
  log.answer()
  await publisher.close()
  outbox.close()
  await log.close()
  rmSync(folder, { recursive: true, force: true })
})

function open(ordersMax: number): void {
  outbox = new Outbox(path, ordersMax)
  publisher = new OutboxPublisher({
    writer,
    outbox,
    clock,
    random,
    failpoint: noFailpoint,
    partitions: PARTITIONS,
    answerWithinMs: ANSWER_WITHIN_MS,
  })
}

async function reopen(ordersMax: number): Promise<void> {
  await publisher.close()
  outbox.close()
  open(ordersMax)
}

let ids = 0
const order = (): Order => orderOf(`o${(ids += 1)}`, 'burger', 1, ids)

/** Publishes one order; what it then survives. */
async function place(one: Order = order(), partition: number = 0): Promise<string> {
  const { durable, count } = await publisher.publish(partition, [one])
  return count === 1 ? durable : 'refused'
}

async function written(): Promise<readonly string[]> {
  const records = await readRecords(log, orders.name)
  return records.map(({ value }) => (JSON.parse(value ?? '') as Order).order_id)
}

async function drained(): Promise<void> {
  await eventually(() => outbox.count === 0, 'nothing waits on this disk', 4_000)
}

const firsts = (list: readonly string[]): readonly string[] => [...new Set(list)]

describe('while the log answers', () => {
  test('orders are in it before they are answered, and nothing is on this disk', async () => {
    const [a, b] = [order(), order()]
    expect([await place(a), await place(b)]).toEqual(['log', 'log'])
    expect(await written()).toEqual([a.order_id, b.order_id])
    expect(outbox.count).toBe(0)
  })

  test('what it refuses for good is no reason to keep it', async () => {
    await log.deleteTopics([orders.name])
    await expect(place()).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    expect(outbox.count).toBe(0)
  })
})

describe('while brokers are away', () => {
  test.each(['refuses', 'waits'] as const)(
    'and the log %s, orders are taken by this disk, and then reach it once and in order',
    async (presence) => {
      const list = Array.from({ length: 20 }, () => order())
      await place(list[0])
      log.presence = presence
      for (const one of list.slice(1)) expect(await place(one)).toBe('local')
      expect(outbox.count).toBe(19)
      expect(log.fired[presence]).toBeGreaterThan(0)
      log.answer()
      await drained()
      expect(await written()).toEqual(list.map(({ order_id }) => order_id))
      expect(await place()).toBe('log')
    },
  )

  test('what waited in the log is not published a second time', async () => {
    log.presence = 'waits'
    const one = order()
    expect(await place(one)).toBe('local')
    expect(log.fired.waits).toBe(1)
    log.answer()
    await drained()
    expect(await written()).toEqual([one.order_id])
  })

  test('an answer that is lost makes a repeat, which dedupe drops, but no other order', async () => {
    const list = [order(), order(), order()]
    log.presence = 'loses-replies'
    for (const one of list) expect(await place(one)).toBe('local')
    log.answer()
    await drained()
    expect(log.fired['loses-replies']).toBeGreaterThan(0)
    const all = await written()
    expect(all.length).toBeGreaterThan(list.length)
    expect(firsts(all)).toEqual(list.map(({ order_id }) => order_id))
  })

  test('another partition goes its own way', async () => {
    log.presence = 'waits'
    expect(await place(order(), 0)).toBe('local')
    // The other partition's brokers are back; what waits of the first one still waits.
    log.presence = 'answers'
    expect(await place(order(), 1)).toBe('log')
    expect(await place(order(), 0)).toBe('local')
    expect(outbox.count).toBe(2)
  })

  test('no more are taken than may wait, and those that do are safe', async () => {
    await reopen(2)
    log.presence = 'refuses'
    const kept = [order(), order()]
    for (const one of kept) expect(await place(one)).toBe('local')
    expect(await place()).toBe('refused')
    expect(await place(kept[0])).toBe('local')
    log.answer()
    await drained()
    expect(firsts(await written())).toEqual(kept.map(({ order_id }) => order_id))
    expect(await place()).toBe('log')
  })

  test('one batch a partition is under way from this disk', async () => {
    log.presence = 'refuses'
    for (let n = 0; n < 50; n += 1) await place()
    log.answer()
    log.underWayMax = 0
    await drained()
    expect(log.underWayMax).toBe(1)
  })

  test('what waits when this closes is published first after the next start', async () => {
    log.presence = 'refuses'
    const list = [order(), order(), order()]
    for (const one of list) await place(one)
    await reopen(1_000)
    expect(outbox.count).toBe(3)
    log.answer()
    const last = order()
    await place(last)
    await drained()
    expect(await written()).toEqual([...list, last].map(({ order_id }) => order_id))
  })
})

test('a partition that never rests gets rid of its last order on this disk', async () => {
  log.presence = 'refuses'
  for (let n = 0; n < 100; n += 1) await place()
  log.answer()
  // Longer than the next order takes to come.
  log.latencyMs = 5
  const answers: string[] = []
  let isOver = false
  const users = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      answers.push(await place())
      if (answers.at(-1) === 'log' && outbox.count === 0) isOver = true
      await clock.turn()
    }
  })
  await Promise.all(users)
  expect(answers.at(-1)).toBe('log')
  expect(firsts(await written())).toHaveLength(100 + answers.length)
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'orders that one user waits for keep their order, whatever the brokers do (run %i)',
  async (seed) => {
    let state = seed
    const chance = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
    const moods: readonly Presence[] = ['answers', 'refuses', 'waits', 'loses-replies']
    const turnWeather = (): void => {
      const mood = moods[Math.floor(chance() * moods.length)] ?? 'answers'
      if (mood === 'answers') log.answer()
      else log.presence = mood
    }
    const answered = await Promise.all(
      [0, 1, 0].map(async (partition) => {
        const own: string[] = []
        for (let n = 0; n < 60; n += 1) {
          if (chance() < 0.1) turnWeather()
          const one = order()
          await place(one, partition)
          own.push(one.order_id)
          if (chance() < 0.3) await Bun.sleep(1)
        }
        return own
      }),
    )
    log.answer()
    await drained()
    expect(log.fired.refuses + log.fired.waits + log.fired['loses-replies']).toBeGreaterThan(0)
    const all = firsts(await written())
    expect(all).toHaveLength(180)
    for (const own of answered) {
      const mine = new Set(own)
      expect(all.filter((id) => mine.has(id))).toEqual(own)
    }
  },
)
