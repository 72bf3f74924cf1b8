/** What clients see of the ingress while brokers are away (R20). */
import { afterEach, beforeEach, expect, test } from 'bun:test'
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
import { Applications } from './applications.ts'
import { createIngress, type Ingress } from './ingress.ts'
import { inventoryTopology } from './inventory.ts'
import { LiveViews } from './live-views.ts'
import { Neighbours } from './neighbours.ts'
import { OrderIntake } from './order-intake.ts'
import { OrderLookup } from './order-lookup.ts'
import { OutboxPublisher } from './order-publisher.ts'
import { Outbox } from './outbox.ts'
import { Pressure } from './pressure.ts'
import { Requests } from './requests.ts'
import { AwayLog } from './test-helper/away-log.ts'
import { eventually } from './test-helper/eventually.ts'
import { readRecords } from './test-helper/read-records.ts'
import { campusTopics, orders } from './topics.ts'

const PARTITIONS = 2
const ORDERS_MAX = 5
const BODY = { item_id: 'burger', qty: 1, user_id: 'u1' }

let folder: string
let log: AwayLog
let ingress: Ingress
let outbox: Outbox
let close: () => Promise<void>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ingress-away-'))
  log = new AwayLog(await openLog('memory:', { clock, random }))
  await log.createTopics(campusTopics(PARTITIONS))
  const writer: LogWriter = await log.writer()
  const requests = new Requests(join(folder, 'ingress.db'))
  outbox = new Outbox(join(folder, 'ingress.db'), ORDERS_MAX)
  const shared = { writer, clock, random, partitions: PARTITIONS, answerWithinMs: 50 }
  const publisher = new OutboxPublisher({ ...shared, outbox, failpoint: noFailpoint })
  const views = await LiveViews.open(log, PARTITIONS)
  const limits = { lagRecordsMax: 10, freeBytesMin: 0, mayLogBeAway: true }
  const pressure = new Pressure(clock, folder, limits, async () => 0)
  const applications = new Applications(new Map(), { log })
  const neighbours = new Neighbours({ log, topology: inventoryTopology, clock, url: '' })
  ingress = createIngress({
    taking: { intake: new OrderIntake({ ...shared, publisher, requests }), requests, pressure },
    lookup: new OrderLookup({ applications, requests, neighbours, partitions: PARTITIONS }),
    applications,
    views,
    clock,
    random,
    draining: new AbortController().signal,
  })
  close = async () => {
    log.answer()
    await publisher.close()
    await Promise.all([views.close(), pressure.close()])
    outbox.close()
    requests.close()
    await log.close()
  }
})
afterEach(async () => {
  await close()
  rmSync(folder, { recursive: true, force: true })
})

async function post(path: string, body: object, key?: string): Promise<Response> {
  const headers = {
    'content-type': 'application/json',
    ...(key !== undefined && { 'idempotency-key': key }),
  }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  return ingress.fetch(new Request(`http://campus${path}`, init))
}

const order = async (key?: string): Promise<Record<string, unknown>> => {
  const response = await post('/order', BODY, key)
  return { code: response.status, ...((await response.json()) as object) }
}
const drained = async (): Promise<void> => {
  await eventually(() => outbox.count === 0, 'nothing waits on this disk', 4_000)
}

test('an order is answered 202 and says that this disk has it; without brokers too it is known', async () => {
  expect(await order()).not.toHaveProperty('durable')
  log.presence = 'refuses'
  const taken = await order()
  expect(taken).toMatchObject({ code: 202, ...BODY, status: 'placed', durable: 'local' })
  const found = await ingress.fetch(new Request(`http://campus/orders/${taken['order_id']}`))
  expect(await found.json()).toMatchObject({ ...BODY, status: 'placed' })
  log.answer()
  await drained()
  expect(await order()).not.toHaveProperty('durable')
  expect(await readRecords(log, orders.name)).toHaveLength(3)
})

test('a retry with the key is the same order, on this disk as in the log', async () => {
  log.presence = 'refuses'
  const { durable, ...first } = await order('k')
  expect(durable).toBe('local')
  expect(await order('k')).toEqual({ ...first, durable: 'local' })
  expect(outbox.count).toBe(1)
  expect((await post('/order', { ...BODY, qty: 2 }, 'k')).status).toBe(409)
  log.answer()
  await drained()
  expect(await order('k')).toEqual(first)
})

test('more than may wait are 503 with Retry-After; afterwards every 202 is in the log, once', async () => {
  log.presence = 'refuses'
  const answers = []
  for (let n = 0; n < ORDERS_MAX + 3; n += 1) answers.push(await post('/order', BODY))
  expect(answers.map(({ status }) => status)).toEqual([
    ...Array<number>(ORDERS_MAX).fill(202),
    ...Array<number>(3).fill(503),
  ])
  const refused = answers.at(-1)
  expect(refused?.headers.get('retry-after')).toBe('1')
  expect(refused?.headers.get('content-type')).toBe('application/problem+json')
  log.answer()
  await drained()
  const ids = await Promise.all(
    answers
      .filter(({ status }) => status === 202)
      .map(async (answer) => ((await answer.json()) as { order_id: string }).order_id),
  )
  const records = await readRecords(log, orders.name)
  expect(records.map(({ value }) => JSON.parse(value ?? '').order_id)).toEqual(ids)
})

test('a restock, which waits nowhere, is 503 with Retry-After when the log does not answer in time', async () => {
  log.presence = 'waits'
  const restock = { stock_id: 's', item_id: 'burger', qty: 1 }
  const refused = await post('/stock', restock)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(log.fired.waits).toBe(1)
  log.answer()
  expect((await post('/stock', restock)).status).toBe(202)
})
