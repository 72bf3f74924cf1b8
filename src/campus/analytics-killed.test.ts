/** What a killed `analytics` left behind, it catches up with before its minutes go on (R12). */
import { afterEach, expect, test } from 'bun:test'
import { CLOSE_MS, GRACE_MS } from './analytics.ts'
import { CampusRig, ITEMS, partitionOf } from './test-helper/campus-rig.ts'
import { HoldingLog } from './test-helper/holding-log.ts'
import { MINUTE_MS, START_MS } from './test-helper/records.ts'
import { lateRecords, orders } from './topics.ts'

/** So long after its end a minute must have been emitted. */
const LATEST_MS = GRACE_MS + CLOSE_MS + 2_000
const [A = '', B = ''] = ITEMS

const minuteOf = (number: number): number => START_MS + number * MINUTE_MS

let rig: CampusRig
afterEach(() => rig.close())

/** One order of each item has been counted; then everybody has said that nothing comes, and the process is killed. */
async function killedWhileIdle(): Promise<void> {
  rig = await CampusRig.open()
  for (const item of ITEMS) await rig.restock(item, 1_000_000)
  await rig.start('inventory')
  await rig.start('analytics')
  for (const item of ITEMS) await rig.order(item)
  await rig.pass(MINUTE_MS + LATEST_MS)
  expect(await counted()).toEqual([[0, 4, 4]])
  await rig.kill('analytics')
}

/** An order of each item every ten seconds: more than grace bears. */
async function threeMinutes(): Promise<void> {
  for (let seconds = 0; seconds < 180; seconds += 10) {
    for (const item of ITEMS) await rig.order(item)
    await rig.pass(10_000)
  }
}
const COUNT = 4 * (1 + 18)

type Count = readonly [minute: number, orders: number, outcomes: number]
async function counted(): Promise<readonly Count[]> {
  return (await rig.minutes()).map(({ window_start, orders, reserved, failed }) => [
    (window_start - START_MS) / MINUTE_MS,
    orders,
    reserved + failed,
  ])
}

/** Every minute whole, and nothing late. */
async function isExact(count: number): Promise<void> {
  const minutes = await counted()
  expect(minutes.reduce((sum, [, placed]) => sum + placed, 0)).toBe(count)
  expect(minutes.every(([, placed, outcomes]) => placed === outcomes)).toBe(true)
  expect(await rig.read(lateRecords.name)).toEqual([])
  expect((await rig.check()).violations).toEqual([])
}

function withoutOrdersOf(item: string): HoldingLog {
  return new HoldingLog(rig.log, { topic: orders.name, partition: partitionOf(item) })
}

test('what the others have gone through waits for a partition that was idle and is read last', async () => {
  await killedWhileIdle()
  await threeMinutes()
  const log = withoutOrdersOf(B)
  await rig.start('analytics', log)
  await rig.pass(30_000)
  expect(await counted()).toEqual([[0, 4, 4]])
  log.letGo()
  await rig.pass(2 * MINUTE_MS)
  await isExact(COUNT)
})

test('also when it is killed again before it has caught up', async () => {
  await killedWhileIdle()
  await threeMinutes()
  for (let kills = 0; kills < 2; kills += 1) {
    await rig.start('analytics', withoutOrdersOf(B))
    await rig.pass(30_000)
    expect(await counted()).toEqual([[0, 4, 4]])
    await rig.kill('analytics')
  }
  await rig.start('analytics')
  await rig.pass(3 * MINUTE_MS)
  await isExact(COUNT)
})

test('also when inventory was killed too, and comes back later', async () => {
  await killedWhileIdle()
  await rig.kill('inventory')
  await threeMinutes()
  await rig.start('analytics')
  await rig.pass(2 * MINUTE_MS)
  expect(await counted()).toEqual([[0, 4, 4]])
  await rig.start('inventory')
  await rig.pass(3 * MINUTE_MS)
  await isExact(COUNT)
})

test('a partition that was idle and has had no order since holds nobody up', async () => {
  await killedWhileIdle()
  await rig.start('analytics')
  await rig.pass(20_000)
  await rig.order(A)
  const minute = Math.floor((rig.clock.nowMs() - START_MS) / MINUTE_MS)
  const emittedMs = await rig.emitted(minuteOf(minute))
  expect(emittedMs).toBeLessThanOrEqual(minuteOf(minute + 1) + LATEST_MS)
  await isExact(5)
})

test('nor does it under orders that never pause', async () => {
  await killedWhileIdle()
  await rig.start('analytics')
  for (let seconds = 0; seconds < 150; seconds += 1) {
    await rig.order(A)
    await rig.pass(1_000)
  }
  expect((await counted()).map(([minute]) => minute)).toEqual([0, 1, 2])
})
