/** `inventory`: every order is decided once, against the stock of its item (design, section 11). */
import { describe, expect, test } from 'bun:test'
import { TopologyTestDriver } from '#millrace/testing'
import { inventory, inventoryTopology, ordersById } from './inventory.ts'
import { DAY_MS, HOUR_MS, START_MS, orderOf, restockOf } from './test-helper/records.ts'
import { inventoryEvents, orders, stock } from './topics.ts'

function shop() {
  const driver = new TopologyTestDriver(inventoryTopology, { initialWallClockMs: START_MS })
  const orderTopic = driver.createInputTopic(orders)
  const stockTopic = driver.createInputTopic(stock)
  const events = driver.createOutputTopic(inventoryEvents)
  return {
    driver,
    events,
    order: (id: string, item: string, qty: number, timestampMs: number = START_MS) =>
      orderTopic.pipeInput(item, orderOf(id, item, qty, timestampMs), timestampMs),
    restock: (id: string, item: string, qty: number, timestampMs: number = START_MS) =>
      stockTopic.pipeInput(item, restockOf(id, item, qty), timestampMs),
    shelf: (item: string) => driver.getKeyValueStore(inventory).get(item),
    decided: (id: string) => driver.getKeyValueStore(ordersById).get(id),
    verdicts: () =>
      events.readRecordsToList().map(({ value }) => `${value?.order_id} ${value?.status}`),
  }
}

const text = new TextDecoder()
const inText = (headers: readonly (readonly [string, Uint8Array | null])[]) =>
  headers.map(([name, value]) => [name, value === null ? null : text.decode(value)] as const)

describe('a verdict', () => {
  test('is the order with its status, keyed by item, at the time of the order', async () => {
    const { events, order, restock } = shop()
    await restock('s1', 'soup', 5)
    await order('o1', 'soup', 2, START_MS + 7)
    const [event] = events.readRecordsToList()
    expect(event?.key).toBe('soup')
    expect(event?.timestampMs).toBe(START_MS + 7)
    expect(event?.value).toMatchObject({
      order_id: 'o1',
      item_id: 'soup',
      qty: 2,
      timestamp: START_MS + 7,
      status: 'reserved',
    })
  })

  test('carries event, user and, when failed, the reason in its headers', async () => {
    const { events, order, restock } = shop()
    await restock('s1', 'soup', 1)
    await order('o1', 'soup', 1)
    await order('o2', 'soup', 1)
    await order('o3', 'unicorn', 1)
    expect(events.readRecordsToList().map(({ headers }) => inText(headers))).toEqual([
      [
        ['event', 'InventoryReserved'],
        ['user_id', 'user-of-o1'],
      ],
      [
        ['event', 'InventoryFailed'],
        ['user_id', 'user-of-o2'],
        ['reason', 'out-of-stock'],
      ],
      [
        ['event', 'InventoryFailed'],
        ['user_id', 'user-of-o3'],
        ['reason', 'unknown-item'],
      ],
    ])
  })

  test('does not touch the shelf of an item that nobody sells', async () => {
    const { order, decided, shelf } = shop()
    await order('o1', 'unicorn', 1)
    expect(decided('o1')).toMatchObject({ status: 'failed', reason: 'unknown-item' })
    expect(shelf('unicorn')).toBeUndefined()
  })
})

describe('stock', () => {
  test('is never negative, and available + reserved is what was put in', async () => {
    const { order, restock, shelf, verdicts } = shop()
    await restock('s1', 'soup', 10)
    const takes = [4, 4, 4, 2, 1, 1]
    for (const [index, qty] of takes.entries()) {
      await order(`o${index}`, 'soup', qty)
      const { available = -1, reserved = -1 } = shelf('soup') ?? {}
      expect(available).toBeGreaterThanOrEqual(0)
      expect(available + reserved).toBe(10)
    }
    expect(verdicts()).toEqual([
      'o0 reserved',
      'o1 reserved',
      'o2 failed',
      'o3 reserved',
      'o4 failed',
      'o5 failed',
    ])
    expect(shelf('soup')).toEqual({ available: 0, reserved: 10 })
  })

  test('can be taken to the last piece, and fails at the first one more', async () => {
    const { order, restock, verdicts } = shop()
    await restock('s1', 'soup', 3)
    await order('o1', 'soup', 4)
    await order('o2', 'soup', 3)
    await order('o3', 'soup', 1)
    expect(verdicts()).toEqual(['o1 failed', 'o2 reserved', 'o3 failed'])
  })

  test('of one item is nothing to another', async () => {
    const { order, restock, shelf } = shop()
    await restock('s1', 'soup', 3)
    await restock('s2', 'cake', 1)
    await order('o1', 'soup', 3)
    expect(shelf('cake')).toEqual({ available: 1, reserved: 0 })
  })

  test('grows by a restock once: its id is deduplicated as an order’s is', async () => {
    const { restock, shelf } = shop()
    await restock('s1', 'soup', 3)
    await restock('s1', 'soup', 3, START_MS + HOUR_MS)
    await restock('s2', 'soup', 4, START_MS + HOUR_MS)
    expect(shelf('soup')).toEqual({ available: 7, reserved: 0 })
  })

  test('a failed order is decided for good: what comes later is not for it', async () => {
    const { order, restock, verdicts } = shop()
    await restock('s1', 'soup', 1)
    await order('o1', 'soup', 2)
    await restock('s2', 'soup', 5)
    await order('o1', 'soup', 2)
    await order('o2', 'soup', 2)
    expect(verdicts()).toEqual(['o1 failed', 'o2 reserved'])
  })
})

describe('a retry (R14)', () => {
  test('gets no second verdict and takes no stock', async () => {
    const { order, restock, shelf, verdicts } = shop()
    await restock('s1', 'soup', 10)
    for (let tries = 0; tries < 5; tries += 1) await order('o1', 'soup', 2, START_MS + tries)
    expect(verdicts()).toEqual(['o1 reserved'])
    expect(shelf('soup')).toEqual({ available: 8, reserved: 2 })
  })

  test('is a repeat up to 24 hours of stream time after the first, the last one included', async () => {
    const { driver, order, restock, verdicts } = shop()
    await restock('s1', 'soup', 10)
    await order('o1', 'soup', 1)
    await driver.advanceWallClockTime(2 * DAY_MS)
    await order('o1', 'soup', 1, START_MS + DAY_MS)
    expect(verdicts()).toEqual(['o1 reserved'])
  })

  test('is a new order a millisecond later', async () => {
    const { driver, order, restock, verdicts, shelf } = shop()
    await restock('s1', 'soup', 10)
    await order('o1', 'soup', 1)
    await driver.advanceWallClockTime(2 * DAY_MS)
    await order('o1', 'soup', 1, START_MS + DAY_MS + 1)
    expect(verdicts()).toEqual(['o1 reserved', 'o1 reserved'])
    expect(shelf('soup')).toEqual({ available: 8, reserved: 2 })
  })

  test('goes by stream time, not by its own timestamp or the wall clock', async () => {
    const { driver, order, restock, verdicts } = shop()
    await restock('s1', 'soup', 10)
    await order('o1', 'soup', 1)
    // The wall clock alone makes nobody forget.
    await driver.advanceWallClockTime(2 * DAY_MS)
    await order('o1', 'soup', 1)
    expect(verdicts()).toEqual(['o1 reserved'])
    // Another order moves stream time on; a record of an old time is now judged by it.
    await order('o2', 'soup', 1, START_MS + DAY_MS + 1)
    await order('o1', 'soup', 1)
    expect(verdicts()).toEqual(['o2 reserved', 'o1 reserved'])
  })

  test('an order more than 24 hours ahead of stream time and clock is a dead letter', async () => {
    const { driver, order, restock, verdicts, decided } = shop()
    await restock('s1', 'soup', 10)
    await order('o1', 'soup', 1)
    await order('far', 'soup', 1, START_MS + DAY_MS + 1)
    expect(verdicts()).toEqual(['o1 reserved'])
    expect(decided('far')).toBeUndefined()
    const [letter, ...others] = driver.producedRecords('campus-inventory-dead-letters')
    expect(others).toEqual([])
    const headers = new Map(inText(letter?.headers ?? []).map(([name, value]) => [name, value]))
    expect(headers.get('__streams.errors.message')).toContain('ahead of stream time and clock')
  })
})

describe('the table of orders', () => {
  test('knows each decided order by its id, with user and reason', async () => {
    const { order, restock, decided } = shop()
    await restock('s1', 'soup', 1)
    await order('o1', 'soup', 1)
    await order('o2', 'soup', 3, START_MS + 5)
    expect(decided('o1')).toEqual({
      ...orderOf('o1', 'soup', 1),
      status: 'reserved',
      reason: null,
    })
    expect(decided('o2')).toEqual({
      ...orderOf('o2', 'soup', 3, START_MS + 5),
      status: 'failed',
      reason: 'out-of-stock',
    })
    expect(decided('o3')).toBeUndefined()
  })
})
