/** What the ingress answers: orders and their retries, where they stand, stock, minutes, applications, health, OpenAPI. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { systemClock } from '#millrace'
import { OpenCampus, type Answer } from './test-helper/open-campus.ts'
import { orders } from './topics.ts'

const BODY = { item_id: 'burger', qty: 2, user_id: 'u1' }

interface Status {
  readonly order_id: string
  readonly status: 'placed' | 'reserved' | 'failed'
  readonly reason?: string
}
interface Item {
  readonly item_id: string
  readonly available: number
  readonly reserved: number
}

let campus: OpenCampus
beforeAll(async () => {
  campus = await OpenCampus.start()
})
afterAll(() => campus.remove())

const keyed = (key: string, body: unknown = BODY): Promise<Answer> =>
  campus.post('/order', body, { 'idempotency-key': key })
const idOf = ({ body }: Answer): string => String(body['order_id'])
const decided = (id: string): Promise<Status> =>
  campus.eventually<Status>(`/orders/${id}`, ({ status }) => status !== 'placed')

async function timesWritten(id: string): Promise<number> {
  const records = await campus.records(orders.name)
  return records.filter(({ value }) => value?.includes(id)).length
}

describe('an order', () => {
  test('is answered 202 with what was placed, once it is durable', async () => {
    const before = systemClock.nowMs()
    const answer = await campus.post('/order', BODY)
    expect(answer.status).toBe(202)
    expect(Object.keys(answer.body).sort()).toEqual(
      ['item_id', 'order_id', 'qty', 'status', 'timestamp', 'user_id'].sort(),
    )
    expect(answer.body).toMatchObject({ ...BODY, status: 'placed' })
    expect(Number(answer.body['timestamp'])).toBeGreaterThanOrEqual(before)
    const record = (await campus.records(orders.name)).find(({ value }) =>
      value?.includes(idOf(answer)),
    )
    expect(record?.key).toBe('burger')
    expect(record?.headers).toEqual([['event', 'OrderPlaced']])
    expect(record?.timestamp).toBe(Number(answer.body['timestamp']))
    const { status: _status, ...order } = answer.body
    expect(JSON.parse(record?.value ?? '')).toEqual(order)
  })

  test('without a key is a new one each time', async () => {
    const answers = [await campus.post('/order', BODY), await campus.post('/order', BODY)]
    expect(new Set(answers.map(idOf)).size).toBe(2)
  })

  test('is known from the moment of its 202, then reserved', async () => {
    const id = idOf(await campus.post('/order', BODY))
    const { status, body } = await campus.get<Status>(`/orders/${id}`)
    expect(status).toBe(200)
    expect(['placed', 'reserved']).toContain(body.status)
    expect(await decided(id)).toMatchObject({ ...BODY, order_id: id, status: 'reserved' })
  })

  test('for more than there is fails, and says why', async () => {
    // 50 pieces of cake are on the shelf.
    const id = idOf(await campus.post('/order', { ...BODY, item_id: 'cake', qty: 51 }))
    expect(await decided(id)).toMatchObject({ status: 'failed', reason: 'out-of-stock' })
  })

  test('of an item that nobody sells fails, and says why', async () => {
    const id = idOf(await campus.post('/order', { ...BODY, item_id: 'unicorn' }))
    expect(await decided(id)).toMatchObject({ status: 'failed', reason: 'unknown-item' })
  })

  test('that is not there is 404', async () => {
    expect((await campus.get('/orders/nope')).status).toBe(404)
    expect((await campus.get('/orders/nope/events')).status).toBe(404)
  })
})

describe('a retry with the Idempotency-Key (R19)', () => {
  test('gets the same answer, byte for byte, also when the order has been decided', async () => {
    const first = await keyed('same')
    await decided(idOf(first))
    // Placed only now, it would carry another time.
    while (systemClock.nowMs() <= Number(first.body['timestamp'])) await systemClock.turn()
    const again = await keyed('same')
    expect(again.status).toBe(202)
    expect(again.text).toBe(first.text)
  })

  test('does so while others with the key are under way', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => keyed('together')))
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(202))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  })

  test('with another order of fields is still a retry', async () => {
    const first = await keyed('fields')
    const again = await keyed('fields', { user_id: 'u1', qty: 2, item_id: 'burger' })
    expect(again.text).toBe(first.text)
  })

  test.each([
    ['quantity', { ...BODY, qty: 3 }],
    ['item', { ...BODY, item_id: 'pizza' }],
    ['user', { ...BODY, user_id: 'u2' }],
  ])('with another %s is 409, and writes nothing', async (what, body) => {
    const first = await keyed(`conflict-${what}`)
    const written = (await campus.records(orders.name)).length
    const conflict = await keyed(`conflict-${what}`, body)
    expect(conflict.status).toBe(409)
    expect(conflict.headers.get('content-type')).toBe('application/problem+json')
    expect(conflict.body['detail']).toContain('Idempotency-Key')
    expect((await campus.records(orders.name)).length).toBe(written)
    expect((await keyed(`conflict-${what}`)).text).toBe(first.text)
  })

  test('of two bodies at the same moment one wins, the other is 409', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => keyed('race', { ...BODY, qty: 1 + (at % 2) })),
    )
    const taken = answers.filter(({ status }) => status === 202)
    expect(taken).toHaveLength(5)
    expect(new Set(taken.map(({ text }) => text)).size).toBe(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(5)
  })

  test('gives the order one verdict and takes the stock once', async () => {
    const soup = { item_id: 'soup', qty: 10, user_id: 'u1' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed('soup', soup)))
    const id = idOf(answers[0] as Answer)
    await decided(id)
    expect(await timesWritten(id)).toBeGreaterThanOrEqual(1)
    const item = await campus.get<Item>('/inventory/soup')
    expect(item.body).toEqual({ item_id: 'soup', available: 490, reserved: 10 })
  })
})

describe('a retry after a restart', () => {
  test('gets the same answer, a conflict is still 409, and nothing is decided twice', async () => {
    const first = await keyed('over-restart', { ...BODY, item_id: 'falafel' })
    await decided(idOf(first))
    await campus.stop()
    await campus.start()
    const again = await keyed('over-restart', { ...BODY, item_id: 'falafel' })
    expect(again.text).toBe(first.text)
    expect((await keyed('over-restart', BODY)).status).toBe(409)
    expect((await campus.get<Status>(`/orders/${idOf(first)}`)).body.status).toBe('reserved')
    const marker = idOf(await campus.post('/order', { ...BODY, item_id: 'falafel', qty: 1 }))
    await decided(marker)
    expect((await campus.get<Item>('/inventory/falafel')).body.reserved).toBe(3)
  })

  test('the seed is not put on the shelves again', async () => {
    const { body } = await campus.get<Item[]>('/inventory')
    const cake = body.find(({ item_id }) => item_id === 'cake')
    expect((cake?.available ?? 0) + (cake?.reserved ?? 0)).toBe(50)
  })
})

describe('stock', () => {
  test('is listed by item, each with what is left and what is reserved', async () => {
    const { status, body } = await campus.get<Item[]>('/inventory')
    expect(status).toBe(200)
    const ids = body.map(({ item_id }) => item_id)
    expect(ids).toEqual([...ids].sort())
    expect(ids).toContain('burger')
    expect(ids).toHaveLength(10)
    expect((await campus.get('/inventory/unicorn')).status).toBe(404)
  })

  test('grows by a restock, once for its id', async () => {
    const restock = { stock_id: 'delivery-1', item_id: 'cake', qty: 7 }
    for (let tries = 0; tries < 3; tries += 1)
      expect(await campus.post('/stock', restock)).toMatchObject({ status: 202, body: restock })
    await campus.post('/stock', { stock_id: 'delivery-2', item_id: 'cake', qty: 1 })
    const cake = await campus.eventually<Item>(
      '/inventory/cake',
      ({ available }) => available >= 58,
    )
    expect(cake.available).toBe(58)
  })
})

describe('OpenAPI', () => {
  test('3.1 names every route, with its parameters, bodies and answers', async () => {
    const { status, body } = await campus.get<OpenApi>('/openapi.json')
    expect(status).toBe(200)
    expect(body.openapi).toStartWith('3.1.')
    expect(body.info).toMatchObject({ title: 'campus', version: expect.any(String) })
    const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
    expect(routes.sort()).toEqual([
      'get /applications',
      'get /healthz',
      'get /inventory',
      'get /inventory/{item_id}',
      'get /metrics/orders',
      'get /orders/{order_id}',
      'get /orders/{order_id}/events',
      'get /readyz',
      'post /applications/{id}/start',
      'post /applications/{id}/stop',
      'post /order',
      'post /stock',
    ])
    for (const [path, methods] of Object.entries(body.paths))
      for (const operation of Object.values(methods)) checkOperation(path, operation)
  })

  test('describes an order as strictly as it is checked', async () => {
    const { body } = await campus.get<OpenApi>('/openapi.json')
    const schema = body.paths['/order']?.['post']?.requestBody?.content['application/json']?.schema
    expect(schema).toMatchObject({
      type: 'object',
      additionalProperties: false,
      required: ['item_id', 'qty', 'user_id'],
      properties: { qty: { type: 'integer', minimum: 1, maximum: 1000 } },
    })
  })
})

interface Operation {
  readonly summary?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
  }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: unknown }> }
  readonly responses?: Record<string, { readonly description?: string }>
}
interface OpenApi {
  readonly openapi: string
  readonly info: object
  readonly paths: Record<string, Record<string, Operation>>
}

/** What the 3.1 schema asks of an operation, as far as it is used here. */
function checkOperation(path: string, operation: Operation): void {
  expect(operation.summary).toBeString()
  const answers = Object.entries(operation.responses ?? {})
  expect(answers.length).toBeGreaterThan(0)
  for (const [code, { description }] of answers) {
    expect(code).toMatch(/^([1-5]\d\d|default)$/)
    expect(description).toBeString()
  }
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  const named = (operation.parameters ?? []).filter((one) => one.in === 'path')
  expect(named.map(({ name }) => name).sort()).toEqual(inPath.sort() as string[])
  expect(named.every(({ required }) => required === true)).toBe(true)
}
