/** What the ingress tells as it happens: an order's way, closed minutes, applications that stop and start, back-pressure. */
import { afterEach, describe, expect, test } from 'bun:test'
import { systemClock } from '#millrace'
import { checkCampus } from './invariants.ts'
import type { Minute } from './schemas.ts'
import { fastClock } from './test-helper/fast-clock.ts'
import { OpenCampus } from './test-helper/open-campus.ts'
import { inventoryEvents, orders, stock } from './topics.ts'

const BODY = { item_id: 'burger', qty: 2, user_id: 'u1' }
const INVENTORY = 'campus-inventory'
const FASTER = 20

let campus: OpenCampus
afterEach(() => campus.remove())

const place = async (changes: object = {}): Promise<string> => {
  const { status, body } = await campus.post('/order', { ...BODY, ...changes })
  expect(status).toBe(202)
  return String(body['order_id'])
}
const turn = (action: 'stop' | 'start', id: string = INVENTORY) =>
  campus.post(`/applications/${id}/${action}`, { confirm: id })

/** The stream's text as it comes, with when; the reader says when it has enough. */
async function follow(
  id: string,
  isEnough: (text: string) => boolean | Promise<boolean>,
): Promise<{ readonly text: string; readonly isEnded: boolean; readonly headers: Headers }> {
  const abort = new AbortController()
  const { body, headers } = await fetch(`${campus.url}/orders/${id}/events`, {
    signal: abort.signal,
  })
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { done = true, value = '' } = (await reader?.read()) ?? {}
    text += value
    if (done) return { text, isEnded: true, headers }
    if (await isEnough(text)) {
      abort.abort()
      return { text, isEnded: false, headers }
    }
  }
}

interface Told {
  readonly event: string
  readonly data: Record<string, unknown>
}
function eventsIn(text: string): readonly Told[] {
  return text
    .split('\n\n')
    .filter((part) => part.startsWith('event: '))
    .map((part) => {
      const [, event = '', data = '{}'] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? []
      return { event, data: JSON.parse(data) as Record<string, unknown> }
    })
}

describe('GET /orders/:id/events', () => {
  test('tells that it is placed, keeps the line alive, then tells the verdict and ends', async () => {
    campus = new OpenCampus()
    campus.clock = fastClock(FASTER)
    await campus.start()
    await turn('stop')
    const id = await place()
    let starting: Promise<unknown> | undefined
    const { text, isEnded, headers } = await follow(id, (soFar) => {
      // Two heartbeats, then the inventory is let go on.
      if (soFar.split(': waiting').length > 2) starting ??= turn('start')
      return false
    })
    await starting
    expect(headers.get('content-type')).toStartWith('text/event-stream')
    expect(isEnded).toBe(true)
    const order = { ...BODY, order_id: id }
    expect(eventsIn(text)).toMatchObject([
      { event: 'placed', data: { ...order, status: 'placed' } },
      { event: 'reserved', data: { ...order, status: 'reserved' } },
    ])
  })

  test('of an order that is decided already tells it once and ends', async () => {
    campus = await OpenCampus.start()
    const id = await place({ item_id: 'unicorn' })
    await campus.eventually<{ status: string }>(
      `/orders/${id}`,
      ({ status }) => status === 'failed',
    )
    const { text, isEnded } = await follow(id, () => false)
    expect(isEnded).toBe(true)
    expect(eventsIn(text)).toMatchObject([
      { event: 'failed', data: { order_id: id, status: 'failed', reason: 'unknown-item' } },
    ])
  })

  test('many followers of one order all hear of it', async () => {
    campus = await OpenCampus.start()
    await turn('stop')
    const id = await place()
    const following = Array.from({ length: 10 }, () => follow(id, () => false))
    await turn('start')
    for (const { text } of await Promise.all(following))
      expect(eventsIn(text).at(-1)?.event).toBe('reserved')
  })

  test('a closing campus ends the streams', async () => {
    campus = await OpenCampus.start()
    await turn('stop')
    const id = await place()
    const told = Promise.withResolvers<void>()
    const following = follow(id, () => {
      told.resolve()
      return false
    })
    await told.promise
    await campus.stop()
    const { text } = await following
    expect(eventsIn(text)).toMatchObject([{ event: 'placed' }])
  })
})

describe('GET /metrics/orders', () => {
  test('lists the closed minutes, exact, on time and after a restart', async () => {
    campus = new OpenCampus()
    const clock = fastClock(FASTER)
    campus.clock = clock
    await campus.start()
    expect((await campus.get('/metrics/orders')).body as unknown).toEqual([])
    for (let count = 0; count < 5; count += 1) await place()
    await place({ item_id: 'unicorn' })
    const isAll = (minutes: readonly Minute[]): boolean =>
      minutes.reduce((sum, minute) => sum + minute.orders, 0) === 6
    const minutes = await campus.eventually<readonly Minute[]>('/metrics/orders', isAll)
    const sums = minutes.reduce(
      ({ reserved, failed }, minute) => ({
        reserved: reserved + minute.reserved,
        failed: failed + minute.failed,
      }),
      { reserved: 0, failed: 0 },
    )
    expect(sums).toEqual({ reserved: 5, failed: 1 })
    await campus.stop()
    campus.clock = systemClock
    await campus.start()
    expect(await campus.eventually('/metrics/orders', isAll)).toEqual(minutes)
  })
})

describe('applications', () => {
  test('are listed, and stop and start apart from each other', async () => {
    campus = await OpenCampus.start()
    const list = (await campus.get<{ id: string; state: string; lag: number }[]>('/applications'))
      .body
    expect(list.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'campus-inventory running',
      'campus-analytics running',
      'campus-notifications running',
    ])
    expect(await turn('stop')).toMatchObject({
      status: 200,
      body: { id: INVENTORY, state: 'stopped' },
    })
    // Stopping what is stopped is no mistake.
    expect((await turn('stop')).status).toBe(200)
    const id = await place()
    expect((await campus.get(`/orders/${id}`)).body).toMatchObject({ status: 'placed' })
    expect(await campus.get('/inventory')).toMatchObject({ status: 503 })
    expect((await campus.get('/inventory')).headers.get('retry-after')).toBe('1')
    expect(await turn('start')).toMatchObject({
      status: 200,
      body: { id: INVENTORY, state: 'running' },
    })
    await campus.eventually<{ status: string }>(
      `/orders/${id}`,
      ({ status }) => status !== 'placed',
    )
    expect((await campus.get('/inventory')).status).toBe(200)
  })

  test('that are stopped show their lag, which grows', async () => {
    campus = await OpenCampus.start()
    await turn('stop')
    for (let count = 0; count < 7; count += 1) await place()
    const list = await campus.eventually<{ id: string; lag: number }[]>('/applications', () => true)
    expect(list.find(({ id }) => id === INVENTORY)?.lag).toBe(7)
  })

  test('healthz answers while they are stopped, readyz says who is', async () => {
    campus = await OpenCampus.start()
    expect((await campus.get('/readyz')).body).toMatchObject({ status: 'ready' })
    await turn('stop', 'campus-analytics')
    expect((await campus.get('/healthz')).status).toBe(200)
    const { status, body } = await campus.get('/readyz')
    expect(status).toBe(503)
    expect(body).toMatchObject({
      status: 'not ready',
      applications: { 'campus-analytics': 'stopped', 'campus-inventory': 'running' },
    })
    await turn('start', 'campus-analytics')
    expect((await campus.get('/readyz')).status).toBe(200)
  })
})

describe('back-pressure', () => {
  test('lag past the mark is 503 with Retry-After; afterwards nothing is lost', async () => {
    campus = await OpenCampus.start('--lag-max', '20')
    await turn('stop')
    const accepted: string[] = []
    let refused: Awaited<ReturnType<OpenCampus['post']>> | undefined
    const endMs = systemClock.elapsedMs() + 15_000
    for (let number = 0; refused === undefined; number += 1) {
      const key = { 'idempotency-key': `pressed-${number}` }
      const answer = await campus.post('/order', BODY, key)
      if (answer.status === 202) accepted.push(String(answer.body['order_id']))
      else refused = answer
      expect(systemClock.elapsedMs()).toBeLessThan(endMs)
      await Bun.sleep(5)
    }
    expect(accepted.length).toBeGreaterThan(20)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(await campus.post('/stock', { stock_id: 's', item_id: 'cake', qty: 1 })).toMatchObject({
      status: 503,
    })
    const written = (await campus.records(orders.name)).length
    expect(written).toBe(accepted.length)

    await turn('start')
    // The client that was refused tries again, and gets through.
    let answer = await campus.post('/order', BODY, { 'idempotency-key': 'tries-again' })
    while (answer.status === 503) {
      await Bun.sleep(20)
      answer = await campus.post('/order', BODY, { 'idempotency-key': 'tries-again' })
    }
    accepted.push(String(answer.body['order_id']))
    for (const id of accepted)
      await campus.eventually<{ status: string }>(`/orders/${id}`, (at) => at.status === 'reserved')
    const report = await checkCampus(
      {
        orders: await campus.records(orders.name),
        stock: await campus.records(stock.name),
        'inventory-events': await campus.records(inventoryEvents.name),
      },
      { complete: true, accepted },
    )
    expect(report.violations).toEqual([])
    expect(report.reserved).toBe(accepted.length)
  })
})
