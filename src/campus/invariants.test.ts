/** Each invariant catches the fault it is for: a planted wrong record must be found, and a right run must pass. */
import { describe, expect, test } from 'bun:test'
import { checkCampus, type CampusFeeds, type CampusRecord } from './invariants.ts'

const BASE = 1_700_000_000_000 - (1_700_000_000_000 % 60_000)

function records(
  topic: string,
  values: readonly object[],
  keyOf: (value: Record<string, unknown>) => unknown,
): CampusRecord[] {
  return values.map((value, offset) => ({
    topic,
    partition: 0,
    offset,
    timestamp: BASE,
    key: String(keyOf(value as Record<string, unknown>)),
    value: JSON.stringify(value),
    headers: [],
  }))
}

const order = (order_id: string, qty: number) => ({
  order_id,
  item_id: 'soup',
  qty,
  user_id: 'u1',
  timestamp: BASE,
})
const event = (order_id: string, qty: number, status: string) => ({
  order_id,
  item_id: 'soup',
  status,
  qty,
  timestamp: BASE,
})
const minute = (orders: number, reserved: number, failed: number) => ({
  window_start: BASE,
  window_end: BASE + 60_000,
  orders,
  orders_per_minute: orders,
  reserved,
  failed,
  failure_rate: reserved + failed === 0 ? 0 : failed / (reserved + failed),
  late: 0,
})

/** Stock 5; o1 takes 3, o2 wants 3 and fails, o3 takes 2. */
interface Run {
  orders: ReturnType<typeof order>[]
  events: ReturnType<typeof event>[]
  stock: object[]
  minutes: object[]
}
const right = (): Run => ({
  orders: [order('o1', 3), order('o2', 3), order('o1', 3), order('o3', 2)],
  events: [event('o1', 3, 'reserved'), event('o2', 3, 'failed'), event('o3', 2, 'reserved')],
  stock: [{ stock_id: 'seed-soup', item_id: 'soup', qty: 5 }],
  minutes: [minute(3, 2, 1)],
})

function feeds({ orders, events, stock, minutes }: Run): CampusFeeds {
  return {
    orders: records('orders', orders, (value) => value['item_id']),
    stock: records('stock', stock, (value) => value['item_id']),
    'inventory-events': records('inventory-events', events, (value) => value['item_id']),
    metrics: records('metrics', minutes, () => 'campus'),
    notifications: records(
      'notifications',
      events.map((one) => ({ ...one, user_id: 'u1' })),
      () => 'u1',
    ),
  }
}

const check = async (run: Run, options: Partial<Parameters<typeof checkCampus>[1]> = {}) =>
  (await checkCampus(feeds(run), { complete: true, ...options })).violations

describe('campus invariants', () => {
  test('a right run has no violation, and is counted', async () => {
    const report = await checkCampus(feeds(right()), {
      complete: true,
      stockNow: new Map([['soup', { available: 0, reserved: 5 }]]),
      accepted: ['o1', 'o2', 'o3'],
    })
    expect(report).toEqual({
      orders: 3,
      repeats: 1,
      reserved: 2,
      failed: 1,
      minutes: 1,
      late: 0,
      violations: [],
    })
  })

  const planted: readonly (readonly [string, (run: Run) => void, RegExp])[] = [
    [
      'a wrong verdict: failed although there was enough',
      (run) => {
        run.events[0] = event('o1', 3, 'failed')
      },
      /failed, though 5 soup were there/,
    ],
    [
      'a wrong verdict: reserved although there was not',
      (run) => {
        run.events[1] = event('o2', 3, 'reserved')
      },
      /reserved 3 soup of 2/,
    ],
    [
      'a doubled order',
      (run) => {
        run.events.push(event('o1', 3, 'reserved'))
      },
      /doubled: order o1/,
    ],
    [
      'a contradicted order',
      (run) => {
        run.events.push(event('o2', 3, 'reserved'))
      },
      /contradicted: order o2/,
    ],
    [
      'a lost verdict',
      (run) => {
        run.events.pop()
      },
      /undecided: order o3/,
    ],
    [
      'a verdict out of order',
      (run) => {
        run.events.reverse()
      },
      /o1 was placed before it/,
    ],
    [
      'a verdict for nobody',
      (run) => {
        run.events.push(event('o9', 1, 'reserved'))
      },
      /never placed: o9/,
    ],
    [
      'a verdict over another quantity',
      (run) => {
        run.events[0] = event('o1', 2, 'reserved')
      },
      /does not match order o1/,
    ],
    [
      'a repeat with another body',
      (run) => {
        run.orders[2] = order('o1', 4)
      },
      /another body/,
    ],
    [
      'an order missing from its minute',
      (run) => {
        run.minutes = [minute(2, 2, 1)]
      },
      /windows hold 2 orders/,
    ],
    [
      'an outcome counted twice',
      (run) => {
        run.minutes = [minute(3, 3, 1)]
      },
      /windows hold 4 outcomes/,
    ],
    [
      'a minute emitted twice',
      (run) => {
        run.minutes.push(minute(0, 0, 0))
      },
      /emitted twice/,
    ],
  ]
  test.each(planted)('finds %s', async (_what, plant, expected) => {
    const run = right()
    plant(run)
    expect((await check(run)).join('\n')).toMatch(expected)
  })

  test('finds an accepted order that is not in the topic', async () => {
    expect(await check(right(), { accepted: ['o4'] })).toEqual([
      'lost: accepted order o4 is not in orders',
    ])
  })

  test('finds stock that does not add up', async () => {
    const stockNow = new Map([['soup', { available: 1, reserved: 5 }]])
    expect(await check(right(), { stockNow })).toEqual([
      'soup: 1 + 5 is not the 5 that were put in',
    ])
  })

  test('a failure is right when the restock may have come after it', async () => {
    const run = right()
    run.stock = [
      { stock_id: 'seed-soup', item_id: 'soup', qty: 5 },
      { stock_id: 's2', item_id: 'soup', qty: 5 },
      { stock_id: 's2', item_id: 'soup', qty: 5 },
    ]
    expect(await check(run)).toEqual([])
  })

  test('while orders may still be undecided only safety is checked', async () => {
    const run = right()
    run.events.pop()
    run.minutes = []
    expect(await check(run, { complete: false })).toEqual([])
  })
})
