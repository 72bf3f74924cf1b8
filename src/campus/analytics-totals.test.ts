/** What `analytics` counts is exact: windows and late records together are all there was, each minute once (R9, R12). */
import { afterEach, describe, expect, test } from 'bun:test'
import { CLOSE_MS, GRACE_MS } from './analytics.ts'
import { CampusRig, ITEMS, partitionOf, type Name } from './test-helper/campus-rig.ts'
import { HoldingLog } from './test-helper/holding-log.ts'
import { HOUR_MS, MINUTE_MS, START_MS, orderOf } from './test-helper/records.ts'
import type { LateRecord } from './schemas.ts'
import { lateRecords, orders } from './topics.ts'

/** So long after its end a minute must have been emitted. */
const LATEST_MS = GRACE_MS + CLOSE_MS + 2_000
const [A = '', B = ''] = ITEMS

const minuteOf = (number: number): number => START_MS + number * MINUTE_MS
const endOf = (number: number): number => minuteOf(number + 1)

let rig: CampusRig
afterEach(() => rig.close())

async function open(...names: readonly Name[]): Promise<void> {
  rig = await CampusRig.open()
  for (const item of ITEMS) await rig.restock(item, 1_000_000)
  for (const name of names) await rig.start(name)
}

type Count = readonly [minute: number, orders: number, reserved: number, failed: number]
async function counted(): Promise<readonly Count[]> {
  return (await rig.minutes()).map(({ window_start, orders, reserved, failed }) => [
    (window_start - START_MS) / MINUTE_MS,
    orders,
    reserved,
    failed,
  ])
}

async function holds(): Promise<void> {
  expect((await rig.check()).violations).toEqual([])
}

describe('totals are exact', () => {
  test('when one partition runs three windows ahead', async () => {
    await open('inventory')
    for (let minute = 0; minute < 6; minute += 1) {
      for (const item of ITEMS) await rig.order(item, minute + 1)
      await rig.pass(MINUTE_MS)
    }
    await rig.caughtUp('inventory')
    const held = { topic: orders.name, partition: partitionOf(B) }
    const log = new HoldingLog(rig.log, held)
    await rig.start('analytics', log)
    await rig.pass(30_000)
    // The others have gone through all of it; the minutes wait for the one that has not.
    const committed = await rig.log.committedOffsets('campus-analytics', [
      held,
      { topic: orders.name, partition: partitionOf(A) },
    ])
    expect(committed.get(`orders-${partitionOf(A)}`)?.offset).toBeGreaterThanOrEqual(21)
    expect(committed.get(`orders-${held.partition}`)?.offset ?? 0).toBe(0)
    expect(await counted()).toEqual([])
    log.letGo()
    await rig.emitted(minuteOf(5))
    expect(await counted()).toEqual(
      Array.from({ length: 6 }, (_, minute) => [minute, 4 * (minute + 1), 4 * (minute + 1), 0]),
    )
    await holds()
  })

  test('after inventory was stopped for three windows, whose minutes waited for it', async () => {
    await open('inventory', 'analytics')
    let lastMs = 0
    const minute = async (): Promise<void> => {
      for (const item of ITEMS) {
        await rig.order(item, 2)
        lastMs = rig.clock.nowMs()
        await rig.pass(MINUTE_MS / 4)
      }
    }
    await minute()
    await rig.pass(LATEST_MS)
    expect(await counted()).toEqual([[0, 8, 8, 0]])
    await rig.stop('inventory')
    for (let count = 0; count < 3; count += 1) await minute()
    await rig.pass(2 * MINUTE_MS)
    // Silence of an application that is stopped is no quiet (R9, `after`).
    expect(await counted()).toEqual([[0, 8, 8, 0]])
    await rig.start('inventory')
    const startedMs = rig.clock.nowMs()
    const emittedMs = await rig.emitted(minuteOf(Math.floor((lastMs - START_MS) / MINUTE_MS)))
    expect(emittedMs).toBeLessThanOrEqual(startedMs + MINUTE_MS + LATEST_MS)
    const minutes = await counted()
    expect(minutes.every(([, placed, reserved]) => placed === reserved)).toBe(true)
    expect(minutes.reduce((sum, [, placed = 0]) => sum + placed, 0)).toBe(32)
    await holds()
  })

  test('under a load that never pauses, from the first start on', async () => {
    await open()
    const second = async (): Promise<void> => {
      for (const item of ITEMS) await rig.order(item)
      await rig.pass(1_000)
    }
    await second()
    await rig.start('inventory')
    await rig.start('analytics')
    for (let seconds = 1; seconds < 150; seconds += 1) await second()
    expect(await counted()).toEqual([
      [0, 240, 240, 0],
      [1, 240, 240, 0],
    ])
    await rig.pass(2 * MINUTE_MS)
    await holds()
  })

  test('after analytics was stopped for six windows, having been quiet before', async () => {
    await open('inventory', 'analytics')
    for (const item of ITEMS) await rig.order(item)
    await rig.pass(MINUTE_MS + LATEST_MS)
    await rig.stop('analytics')
    for (let seconds = 0; seconds < 360; seconds += 10) {
      for (const item of ITEMS) await rig.order(item)
      await rig.pass(10_000)
    }
    await rig.start('analytics')
    await rig.pass(2 * MINUTE_MS)
    const minutes = await counted()
    expect(minutes.reduce((sum, [, placed]) => sum + placed, 0)).toBe(4 * 37)
    expect(minutes.every(([, placed, reserved]) => placed === reserved)).toBe(true)
    await holds()
  })

  test('over retries, which are counted once', async () => {
    await open('inventory', 'analytics', 'notifications')
    const list = Array.from({ length: 10 }, (_, at) => orderOf(`r${at}`, A, 1))
    for (let tries = 0; tries < 3; tries += 1) {
      await rig.orders(list)
      await rig.pass(5_000)
    }
    await rig.emitted(minuteOf(0))
    expect(await counted()).toEqual([[0, 10, 10, 0]])
    expect((await rig.check()).repeats).toBe(20)
    await holds()
  })

  test('with failures, whose rate is that of the minute', async () => {
    rig = await CampusRig.open()
    await rig.restock(A, 3)
    await rig.start('inventory')
    await rig.start('analytics')
    await rig.order(A, 4)
    await rig.order('unicorn', 2)
    await rig.emitted(minuteOf(0))
    expect(await rig.minutes()).toEqual([
      {
        window_start: minuteOf(0),
        window_end: endOf(0),
        orders: 6,
        orders_per_minute: 6,
        reserved: 3,
        failed: 3,
        failure_rate: 0.5,
        late: 0,
      },
    ])
    await holds()
  })
})

describe('a late record', () => {
  /** Orders of six minutes in all partitions, some of them a minute and a half behind their neighbours. */
  const withLateOnes = (fromMs: number) =>
    Array.from({ length: 600 }, (_, at) => {
      const timeMs = fromMs + at * 600
      const isLate = at > 200 && at % 50 === 0
      return orderOf(`c${at}`, ITEMS[at % 4] ?? A, 1, isLate ? timeMs - 90_000 : timeMs)
    })

  async function lateAddsUp(): Promise<void> {
    // One more minute, for what was recorded as late after the last one.
    await rig.order(A)
    await rig.pass(MINUTE_MS + LATEST_MS)
    const { late } = await rig.check()
    expect(late).toBeGreaterThan(0)
    const sum = (await rig.minutes()).reduce((total, minute) => total + minute.late, 0)
    expect(sum).toBe(late)
  }

  test('is in the late topic and in `late` of the minute, and windows + late are all there was', async () => {
    await open('inventory', 'analytics')
    await rig.order(A, 2)
    await rig.pass(2 * MINUTE_MS)
    await rig.order(A, 3)
    await rig.pass(3_000)
    // Two minutes late, in a partition whose time has gone on.
    await rig.order(A, 4, minuteOf(0) + 1)
    await rig.emitted(minuteOf(2))
    const records = await rig.read(lateRecords.name)
    const stores = records.map(({ value }) => (JSON.parse(value ?? '') as { store: string }).store)
    expect(stores.sort()).toEqual([
      ...Array<string>(4).fill('decided-per-minute'),
      ...Array<string>(4).fill('placed-per-minute'),
    ])
    expect(await rig.minutes()).toMatchObject([
      { window_start: minuteOf(0), orders: 2, reserved: 2, late: 0 },
      { window_start: minuteOf(2), orders: 3, reserved: 3, late: 8 },
    ])
    await holds()
  })

  describe('of a partition that had been quiet, taken there and late as a result for the total', () => {
    /** Late results by the windows that refused them, with what they say. */
    const refused = async () =>
      (await rig.read(lateRecords.name)).map(({ value }) => {
        const { store, value: tally } = JSON.parse(value ?? '') as LateRecord
        return [store, tally] as const
      })

    test('counts each of its orders and verdicts', async () => {
      await open('inventory', 'analytics')
      await rig.order(A)
      await rig.pass(2 * MINUTE_MS)
      await rig.order(A)
      await rig.order(B, 2, minuteOf(0) + 1)
      await rig.pass(4 * MINUTE_MS)
      // Two orders are one late result there, and two verdicts another.
      expect(await refused()).toEqual([
        ['minute-totals', { orders: 2, reserved: 0, failed: 0 }],
        ['minute-totals', { orders: 0, reserved: 2, failed: 0 }],
      ])
      expect(await counted()).toEqual([
        [0, 1, 1, 0],
        [2, 1, 1, 0],
      ])
      await holds()
      await lateAddsUp()
    })

    test('also where some fail, and more come late one by one', async () => {
      rig = await CampusRig.open()
      await rig.restock(A, 1_000)
      await rig.restock(B, 3)
      await rig.start('inventory')
      await rig.start('analytics')
      await rig.order(A)
      await rig.pass(2 * MINUTE_MS)
      await rig.order(A)
      // Four are taken in a minute that was over for the others, three of them reserved; one in a minute that is not; and the
      // last is late at once.
      await rig.order(B, 4, minuteOf(0) + 1)
      await rig.order(B, 1, minuteOf(1) + 30_000)
      await rig.order(B, 1, minuteOf(0) + 2)
      await rig.pass(4 * MINUTE_MS)
      const late = await refused()
      const sum = { orders: 0, reserved: 0, failed: 0 }
      for (const [, tally] of late)
        for (const name of ['orders', 'reserved', 'failed'] as const) sum[name] += tally[name]
      expect(sum).toEqual({ orders: 5, reserved: 3, failed: 2 })
      expect(late.filter(([store]) => store === 'placed-per-minute')).toHaveLength(1)
      expect(late.filter(([store]) => store === 'decided-per-minute')).toHaveLength(1)
      expect(await counted()).toEqual([
        [0, 1, 1, 0],
        [1, 1, 0, 1],
        [2, 1, 1, 0],
      ])
      await holds()
      await lateAddsUp()
      expect((await rig.check()).late).toBe(10)
    })
  })

  test('within grace is not late', async () => {
    await open('inventory', 'analytics')
    await rig.pass(30_000)
    await rig.order(A)
    await rig.pass(34_000)
    await rig.order(A)
    await rig.order(A, 1, endOf(0) - 1)
    await rig.emitted(minuteOf(1))
    expect(await counted()).toEqual([
      [0, 2, 2, 0],
      [1, 1, 1, 0],
    ])
    expect(await rig.read(lateRecords.name)).toEqual([])
  })

  test('is counted too when everything is read long after', async () => {
    await open()
    await rig.orders(withLateOnes(minuteOf(0)))
    rig.clock.advance(HOUR_MS)
    await rig.start('inventory')
    await rig.start('analytics')
    await rig.pass(3 * MINUTE_MS)
    await lateAddsUp()
    await holds()
  })

  test('is counted too after a quiet time and a stop, with orders of six minutes to catch up with', async () => {
    await open('inventory', 'analytics')
    for (const item of ITEMS) await rig.order(item)
    await rig.pass(MINUTE_MS + LATEST_MS)
    await rig.stop('analytics')
    await rig.orders(withLateOnes(minuteOf(2)))
    await rig.pass(10 * MINUTE_MS)
    await rig.start('analytics')
    await rig.pass(2 * MINUTE_MS)
    await lateAddsUp()
    await holds()
  })
})

describe('every minute is emitted once', () => {
  test('across ten stops and starts of either application', async () => {
    await open('inventory', 'analytics')
    for (let round = 0; round < 10; round += 1) {
      await rig.order(ITEMS[round % 4] ?? A, 1 + (round % 3))
      await rig.pass(11_000)
      const name: Name = round % 2 === 0 ? 'analytics' : 'inventory'
      await rig.stop(name)
      await rig.order(ITEMS[(round + 1) % 4] ?? A)
      await rig.pass(7_000)
      await rig.start(name)
    }
    await rig.pass(2 * MINUTE_MS)
    const starts = (await counted()).map(([minute]) => minute)
    expect(starts).toEqual([...new Set(starts)].sort())
    expect(starts.length).toBeGreaterThanOrEqual(3)
    await holds()
  })
})
