/** `analytics` on a log of 4 partitions and a clock of the test's: minutes come on time (R9, R12). */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CLOSE_MS, GRACE_MS } from './analytics.ts'
import { CampusRig, ITEMS, type Name } from './test-helper/campus-rig.ts'
import { HOUR_MS, MINUTE_MS, START_MS } from './test-helper/records.ts'

/** Stores on disk take real time. */
setDefaultTimeout(30_000)

/** So long after its end a minute must have been emitted. */
const LATEST_MS = GRACE_MS + CLOSE_MS + 2_000
const [A = '', B = '', C = '', D = ''] = ITEMS

const minuteOf = (number: number): number => START_MS + number * MINUTE_MS
const endOf = (number: number): number => minuteOf(number + 1)

let rig: CampusRig
const folders: string[] = []
afterEach(async () => {
  await rig.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function open(...names: readonly Name[]): Promise<void> {
  rig = await CampusRig.open()
  for (const item of ITEMS) await rig.restock(item, 1_000_000)
  for (const name of names) await rig.start(name)
}

/** On disk, so that a stop of everything keeps the stores. */
async function openOnDisk(): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), 'campus-'))
  folders.push(stateDir)
  rig = await CampusRig.open({ stateDir })
}

async function counted(): Promise<readonly (readonly [minute: number, ...counts: number[]])[]> {
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

describe('the last minute is emitted within grace + closeMs + 2 s of its end', () => {
  test('while nobody orders any more', async () => {
    await open('inventory', 'analytics')
    for (const item of ITEMS) {
      await rig.pass(9_000)
      await rig.order(item, 3)
    }
    expect(await rig.emitted(minuteOf(0))).toBeLessThanOrEqual(endOf(0) + LATEST_MS)
    expect(await counted()).toEqual([[0, 12, 12, 0]])
    await holds()
  })

  for (const silent of [[B], [A, B, C], [B, C, D]])
    test(`when ${silent.length} of 4 partitions never had a record`, async () => {
      await open('inventory', 'analytics')
      await rig.pass(50_000)
      for (const item of ITEMS) if (!silent.includes(item)) await rig.order(item, 2)
      expect(await rig.emitted(minuteOf(0))).toBeLessThanOrEqual(endOf(0) + LATEST_MS)
      const count = 2 * (4 - silent.length)
      expect(await counted()).toEqual([[0, count, count, 0]])
      await holds()
    })

  test('when its only order came in its last millisecond', async () => {
    await open('inventory', 'analytics')
    await rig.pass(endOf(0) - 1 - rig.clock.nowMs())
    await rig.order(A)
    expect(await rig.emitted(minuteOf(0))).toBeLessThanOrEqual(endOf(0) + LATEST_MS)
    expect(await counted()).toEqual([[0, 1, 1, 0]])
  })

  test('not before its end and grace have passed', async () => {
    await open('inventory', 'analytics')
    await rig.order(A)
    await rig.pass(MINUTE_MS + GRACE_MS - 500)
    expect(await counted()).toEqual([])
    expect(await rig.emitted(minuteOf(0))).toBeGreaterThanOrEqual(endOf(0) + GRACE_MS)
  })

  test('after hours in which nobody ordered, and no minute of those is emitted', async () => {
    await open('inventory', 'analytics')
    await rig.order(A)
    await rig.pass(20 * MINUTE_MS)
    await rig.order(B)
    expect(await rig.emitted(minuteOf(20))).toBeLessThanOrEqual(endOf(20) + LATEST_MS)
    expect(await counted()).toEqual([
      [0, 1, 1, 0],
      [20, 1, 1, 0],
    ])
    await holds()
  })
})

describe('after a stop of 14 hours, stores kept', () => {
  async function stopFor14Hours(): Promise<void> {
    await openOnDisk()
    for (const item of ITEMS) await rig.restock(item, 100)
    await rig.start('inventory')
    await rig.start('analytics')
    for (const item of [A, B, C]) {
      await rig.pass(10_000)
      await rig.order(item, 2)
    }
    await rig.pass(5_000)
    await rig.stop('inventory', 'analytics')
    rig.clock.advance(14 * HOUR_MS)
    await rig.start('inventory')
    await rig.start('analytics')
  }

  test('the minute that was open is emitted, though nobody orders', async () => {
    await stopFor14Hours()
    const restartedMs = rig.clock.nowMs()
    const emittedMs = await rig.emitted(minuteOf(0))
    // Its end is long past: what is left are grace, `closeMs` and two seconds.
    expect(emittedMs).toBeLessThanOrEqual(restartedMs + LATEST_MS)
    expect(await counted()).toEqual([[0, 6, 6, 0]])
    expect(rig.happenings.filter(({ kind }) => kind === 'store-rebuilt')).toEqual([])
    await holds()
  })

  test('an order of now is counted in a minute of its own, and the open one is whole', async () => {
    await stopFor14Hours()
    const restartedMs = rig.clock.nowMs()
    await rig.order(A)
    const now = Math.floor((restartedMs - START_MS) / MINUTE_MS)
    expect(await rig.emitted(minuteOf(0))).toBeLessThanOrEqual(restartedMs + LATEST_MS)
    expect(await rig.emitted(minuteOf(now))).toBeLessThanOrEqual(endOf(now) + LATEST_MS)
    expect(await counted()).toEqual([
      [0, 6, 6, 0],
      [now, 1, 1, 0],
    ])
    await holds()
  })

  test('the last minute after that is emitted in time again', async () => {
    await stopFor14Hours()
    await rig.order(A)
    await rig.pass(2 * MINUTE_MS)
    await rig.order(B)
    const now = Math.floor((rig.clock.nowMs() - START_MS) / MINUTE_MS)
    expect(await rig.emitted(minuteOf(now))).toBeLessThanOrEqual(endOf(now) + LATEST_MS)
    await holds()
  })
})
