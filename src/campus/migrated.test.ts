/** Campus goes on, on another log, where it was: beside one that was only stopped and started at the same moments. */
import { afterEach, expect, test } from 'bun:test'
import { noFailpoint, openLog, systemClock, systemRandom } from '#millrace'
import { migrate, type Selection } from '#millrace/migration'
import type { CampusRecord } from './invariants.ts'
import type { Order } from './schemas.ts'
import { CampusRig, ITEMS, type Name } from './test-helper/campus-rig.ts'
import { MINUTE_MS, orderOf } from './test-helper/records.ts'
import { inventoryEvents, lateRecords, metrics, notifications } from './topics.ts'

const NAMES: readonly Name[] = ['inventory', 'analytics', 'notifications']
const OUTPUTS = [inventoryEvents, metrics, lateRecords, notifications].map(({ name }) => name)
/** A place in a group is kept for so long. */
const SESSION_MS = 12_000
const [A = '', B = ''] = ITEMS

const rigs: CampusRig[] = []
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close()
})

async function started(): Promise<CampusRig> {
  const rig = await CampusRig.open()
  rigs.push(rig)
  for (const item of ITEMS) await rig.restock(item, 30)
  for (const name of NAMES) await rig.start(name)
  return rig
}

/** Orders of one day, by the second; some come twice, some too late, some are no orders. */
async function ordersOf(rig: CampusRig, day: string, seconds: number): Promise<readonly Order[]> {
  const all: Order[] = []
  const startMs = rig.clock.nowMs()
  for (let second = 0; second < seconds; second += 5) {
    const nowMs = rig.clock.nowMs()
    const list = ITEMS.map((item, at) => orderOf(`${day}-${second}-${at}`, item, 1, nowMs))
    all.push(...list)
    await rig.orders(list)
    if (second % 20 === 0) await rig.orders(list)
    await rig.pass(5_000)
  }
  // For a minute that has closed by then.
  await rig.orders([orderOf(`${day}-late`, A, 1, startMs)])
  await rig.pass(1_000)
  return all
}

async function migrated(rig: CampusRig, selection: Selection = {}): Promise<void> {
  const { clock, log: source } = rig
  const target = await openLog('memory:', { clock, random: systemRandom })
  const report = await migrate({
    source,
    target,
    selection,
    verify: true,
    clock: systemClock,
    failpoint: noFailpoint,
    onProgress: () => {},
  })
  const groups = selection.groups ?? NAMES.map((name) => `campus-${name}`)
  expect(report.groups.toSorted()).toEqual(groups.toSorted())
  rig.moveTo(target)
  await source.close()
}

/** Everything there is to decide: retries of old orders, new ones, a closed minute that the move cut in two. */
async function twoDays(move: (rig: CampusRig) => Promise<void>): Promise<CampusRig> {
  const rig = await started()
  const old = await ordersOf(rig, 'one', 95)
  await rig.stop(...NAMES)
  await rig.pass(SESSION_MS)
  await move(rig)
  for (const name of NAMES) await rig.start(name)
  // Decided before the move: dedupe must know them.
  await rig.orders(old.slice(20, 30))
  await ordersOf(rig, 'two', 95)
  await rig.pass(2 * MINUTE_MS)
  for (const name of NAMES) await rig.caughtUp(name)
  return rig
}

/** What is promised equal: key, value, headers, timestamp, in order per partition. */
async function outputsOf(rig: CampusRig): Promise<readonly (readonly unknown[])[]> {
  const all: (readonly unknown[])[] = []
  for (const topic of OUTPUTS) {
    const records = await rig.read(topic)
    all.push([topic, records.map((record: CampusRecord) => ({ ...record, offset: 0 }))])
  }
  return all
}

test('every invariant holds over the whole, and every output is what it would have been', async () => {
  const moved = await twoDays(migrated)
  const report = await moved.check()
  expect(report.violations).toEqual([])
  expect(report.repeats).toBeGreaterThan(4)
  expect(report.late).toBeGreaterThan(1)
  expect(report.failed).toBeGreaterThan(0)
  const stayed = await twoDays(() => Promise.resolve())
  expect(await outputsOf(moved)).toEqual(await outputsOf(stayed))
}, 120_000)

test('there and back again, and there again', async () => {
  const rig = await twoDays(async (rig) => {
    for (let moves = 0; moves < 3; moves += 1) {
      await migrated(rig)
      for (const name of NAMES) await rig.start(name)
      await rig.orders([orderOf(`between-${moves}`, B, 1, rig.clock.nowMs())])
      await rig.pass(3_000)
      await rig.stop(...NAMES)
      await rig.pass(SESSION_MS)
    }
  })
  expect((await rig.check()).violations).toEqual([])
}, 120_000)

test('without its offsets an application does not start over by itself (R22)', async () => {
  const rig = await started()
  await ordersOf(rig, 'one', 10)
  await rig.stop(...NAMES)
  await rig.pass(SESSION_MS)
  await migrated(rig, { groups: [] })
  const refused = rig.start('inventory').then(() => rig.pass(10_000))
  await expect(refused).rejects.toThrow(/no input was ever committed|OFFSETS_LOST/)
  // What never started is not waited for.
  rigs.length = 0
}, 180_000)
