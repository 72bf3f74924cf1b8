/** Whatever is wrong with a request is refused by name, and a refused request has written nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OpenCampus, type Answer } from './test-helper/open-campus.ts'
import { orders, stock } from './topics.ts'

const ORDER = { item_id: 'burger', qty: 1, user_id: 'u1' }
const STOCK = { stock_id: 's1', item_id: 'burger', qty: 1 }
const SEEDED = 10

let campus: OpenCampus
beforeAll(async () => {
  // Nothing needs to be decided here.
  campus = await OpenCampus.start('--only', 'notifications')
})
afterAll(() => campus.remove())

const utf8 = new TextEncoder()
const JSON_TYPE = { 'content-type': 'application/json' }

/** A body as it goes over the wire, and the field that the answer must name; empty for the body itself. */
type Case = readonly [what: string, body: string | Uint8Array, field: string]

const order = (changes: object): string => JSON.stringify({ ...ORDER, ...changes })
const without = (field: string): string => JSON.stringify({ ...ORDER, [field]: undefined })
const invalidUtf8 = Uint8Array.from([...utf8.encode(order({})).slice(0, -2), 0xff, 0x22, 0x7d])

const WRONG: readonly Case[] = [
  ['a number for an item', order({ item_id: 5 }), 'item_id'],
  ['an array for an item', order({ item_id: ['burger'] }), 'item_id'],
  ['null for a user', order({ user_id: null }), 'user_id'],
  ['a text for a quantity', order({ qty: '1' }), 'qty'],
  ['true for a quantity', order({ qty: true }), 'qty'],
  ['no item', without('item_id'), 'item_id'],
  ['no quantity', without('qty'), 'qty'],
  ['no user', without('user_id'), 'user_id'],
  ['an unknown field', order({ coupon: 'free' }), 'coupon'],
  ['an order id of the caller’s', order({ order_id: 'mine' }), 'order_id'],
  ['quantity 0', order({ qty: 0 }), 'qty'],
  ['quantity −0', '{"item_id":"burger","qty":-0,"user_id":"u1"}', 'qty'],
  ['quantity 1.5', order({ qty: 1.5 }), 'qty'],
  ['quantity −1', order({ qty: -1 }), 'qty'],
  ['quantity 1e9', '{"item_id":"burger","qty":1e9,"user_id":"u1"}', 'qty'],
  ['quantity 1e400', '{"item_id":"burger","qty":1e400,"user_id":"u1"}', 'qty'],
  ['quantity 1001', order({ qty: 1001 }), 'qty'],
  ['an empty item', order({ item_id: '' }), 'item_id'],
  ['an empty user', order({ user_id: '' }), 'user_id'],
  ['a NUL', order({ item_id: 'bur\u0000ger' }), 'item_id'],
  ['a line feed', order({ user_id: 'u\n1' }), 'user_id'],
  ['an escape', order({ user_id: '\u001b[31m' }), 'user_id'],
  ['a C1 control character', order({ user_id: 'u\u0085' }), 'user_id'],
  ['a right-to-left override', order({ user_id: '\u202e1u' }), 'user_id'],
  ['a zero-width space', order({ item_id: 'bur\u200bger' }), 'item_id'],
  ['a line separator', order({ item_id: 'bur\u2028ger' }), 'item_id'],
  ['half a surrogate pair', '{"item_id":"\\ud800","qty":1,"user_id":"u1"}', 'item_id'],
  ['65 characters', order({ item_id: 'x'.repeat(65) }), 'item_id'],
  ['__proto__', '{"item_id":"burger","qty":1,"user_id":"u1","__proto__":{"x":1}}', '__proto__'],
  ['constructor', order({ constructor: 1 }), 'constructor'],
  ['toString', order({ toString: 'x' }), 'toString'],
  [
    '__proto__ instead of a field',
    '{"item_id":"burger","qty":1,"__proto__":{"user_id":"u1"}}',
    'user_id',
  ],
  ['an array', `[${order({})}]`, 'item_id'],
  ['null', 'null', ''],
  ['a text', '"burger"', ''],
  ['nothing', '', ''],
  ['half of it', order({}).slice(0, -1), ''],
  ['two of them', order({}) + order({}), ''],
  ['a trailing comma', '{"item_id":"burger","qty":1,"user_id":"u1",}', ''],
  ['invalid UTF-8', invalidUtf8, ''],
]

function expectProblem(answer: Answer, status: number, field: string): void {
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body).toMatchObject({ type: 'about:blank', status })
  expect(answer.body['detail']).toStartWith(field === '' ? 'body: ' : `${field}: `)
  const { issues } = answer.body as { issues?: { field: string }[] }
  if (field !== '') expect(issues?.map((issue) => issue.field)).toContain(field)
}

describe('POST /order answers 400 for', () => {
  test.each([...WRONG])('%s', async (_what, body, field) => {
    const answer = await campus.send('/order', { method: 'POST', headers: JSON_TYPE, body })
    expectProblem(answer, 400, field)
  })

  test('two wrong fields, naming both', async () => {
    const { status, body } = await campus.post('/order', { item_id: '', qty: 0, user_id: 'u1' })
    expect(status).toBe(400)
    const { issues } = body as { issues: { field: string }[] }
    expect(issues.map(({ field }) => field)).toEqual(['item_id', 'qty'])
  })

  test.each([
    ['an empty Idempotency-Key', ''],
    ['one of 201 characters', 'k'.repeat(201)],
  ])('%s', async (_what, key) => {
    const answer = await campus.post('/order', ORDER, { 'idempotency-key': key })
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('Idempotency-Key')
  })
})

describe('POST /order answers', () => {
  const padded = (bytes: number): string => order({}).slice(0, -1) + ' '.repeat(bytes) + '}'

  test('413 for a body of 10 KB', async () => {
    const body = padded(10_240)
    const answer = await campus.send('/order', { method: 'POST', headers: JSON_TYPE, body })
    expect(answer.status).toBe(413)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.body['detail']).toContain('body')
  })

  test('413 for a body of 10 KB that does not say its length', async () => {
    const bytes = utf8.encode(padded(10_240))
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 1_000)
          controller.enqueue(bytes.slice(at, at + 1_000))
        controller.close()
      },
    })
    const answer = await campus.send('/order', { method: 'POST', headers: JSON_TYPE, body })
    expect(answer.status).toBe(413)
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/problem+json',
    'application/jsonp',
    'text/json',
  ])('415 for %s', async (type) => {
    const answer = await campus.send('/order', {
      method: 'POST',
      headers: { 'content-type': type },
      body: order({}),
    })
    expect(answer.status).toBe(415)
    expect(answer.body['detail']).toContain(type)
  })

  test('415 for a body without a type', async () => {
    const answer = await campus.send('/order', { method: 'POST', body: utf8.encode(order({})) })
    expect(answer.status).toBe(415)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  })

  test('404 for another method, and for a page that is not there', async () => {
    expect((await campus.get('/order')).status).toBe(404)
    const nowhere = await campus.get('/nowhere')
    expect(nowhere.status).toBe(404)
    expect(nowhere.headers.get('content-type')).toBe('application/problem+json')
  })
})

describe('POST /stock', () => {
  test.each([
    ['a missing id', { item_id: 'burger', qty: 1 }, 'stock_id'],
    ['an empty id', { ...STOCK, stock_id: '' }, 'stock_id'],
    ['quantity 0', { ...STOCK, qty: 0 }, 'qty'],
    ['quantity −5', { ...STOCK, qty: -5 }, 'qty'],
    ['quantity 1.5', { ...STOCK, qty: 1.5 }, 'qty'],
    ['quantity 1e9', { ...STOCK, qty: 1e9 }, 'qty'],
    ['an unknown field', { ...STOCK, price: 1 }, 'price'],
    ['a control character', { ...STOCK, item_id: 'bur\tger' }, 'item_id'],
  ])('answers 400 for %s', async (_what, body, field) => {
    expectProblem(await campus.post('/stock', body), 400, field)
  })
})

describe('POST /applications/:id/stop', () => {
  test.each([
    ['nothing confirmed', {}, 'confirm'],
    ['another id confirmed', { confirm: 'campus-inventory' }, 'confirm'],
    ['a number', { confirm: 1 }, 'confirm'],
    ['an unknown field', { confirm: 'campus-notifications', force: true }, 'force'],
  ])('answers 400 for %s, and stops nothing', async (_what, body, field) => {
    const answer = await campus.post('/applications/campus-notifications/stop', body)
    expectProblem(answer, 400, field)
    const list = await campus.get<{ id: string; state: string }[]>('/applications')
    expect(list.body).toMatchObject([{ id: 'campus-notifications', state: 'running' }])
  })

  test('answers 404 for an application that does not run here', async () => {
    const answer = await campus.post('/applications/campus-nothing/stop', {
      confirm: 'campus-nothing',
    })
    expect(answer.status).toBe(404)
  })
})

describe('after all of that', () => {
  test('nothing has been written', async () => {
    expect(await campus.records(orders.name)).toEqual([])
    expect(await campus.records(stock.name)).toHaveLength(SEEDED)
  })

  test('a good order, with a charset and at the limits, is taken', async () => {
    const body = { item_id: 'b'.repeat(64), qty: 1_000, user_id: 'ünïcödé 🍔' }
    const answer = await campus.send('/order', {
      method: 'POST',
      headers: { 'content-type': 'Application/JSON; charset=utf-8' },
      body: JSON.stringify(body),
    })
    expect(answer.status).toBe(202)
    expect(answer.body).toMatchObject({ ...body, status: 'placed' })
    expect(await campus.records(orders.name)).toHaveLength(1)
  })
})
