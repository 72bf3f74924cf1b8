/** `analytics` under random days: bursts, retries, late orders, quiet times, restarts and kills; what it says always adds up. */
import { expect, test } from 'bun:test'
import { CampusRig, ITEMS, type Name } from './test-helper/campus-rig.ts'
import { numbersOf } from './test-helper/recording.ts'
import { MINUTE_MS, orderOf } from './test-helper/records.ts'
import type { Order } from './schemas.ts'

const SEEDS = 12
const STEPS = 40
/** Far longer than grace bears. */
const AWAY_MS_MAX = 3 * MINUTE_MS

class Day {
  readonly rig: CampusRig
  readonly #next: () => number
  readonly #placed: Order[] = []
  readonly #hasLateOrders: boolean

  constructor(rig: CampusRig, seed: number, hasLateOrders: boolean) {
    this.rig = rig
    this.#next = numbersOf(seed)
    this.#hasLateOrders = hasLateOrders
  }

  #upTo(most: number): number {
    return Math.floor(this.#next() * most)
  }

  async step(): Promise<void> {
    const dice = this.#next()
    if (dice < 0.5) await this.#burst(0)
    else if (dice < 0.6) await this.#burst(this.#hasLateOrders ? 3 * MINUTE_MS : 0)
    else if (dice < 0.7) await this.rig.orders(this.#placed.slice(-3))
    else if (dice < 0.8) await this.#restart(this.#next() < 0.5 ? 'analytics' : 'inventory')
    else if (dice < 0.9) await this.rig.pass(this.#upTo(2 * MINUTE_MS))
    await this.rig.pass(this.#upTo(8_000))
  }

  async #burst(lateMs: number): Promise<void> {
    const item = this.#next() < 0.1 ? 'unicorn' : (ITEMS[this.#upTo(ITEMS.length)] ?? '')
    const list = Array.from({ length: 1 + this.#upTo(5) }, () => {
      const timeMs = this.rig.clock.nowMs() - lateMs - this.#upTo(1_000)
      return this.#order(item, timeMs)
    })
    // What is late is so by the time of its own partition, which an order of now has moved on.
    if (lateMs > 0) list.unshift(this.#order(item, this.rig.clock.nowMs()))
    this.#placed.push(...list)
    await this.rig.orders(list)
  }

  #order(item: string, timeMs: number): Order {
    return orderOf(`o${this.#upTo(1e15)}`, item, 1 + this.#upTo(3), timeMs)
  }

  async #restart(name: Name): Promise<void> {
    if (this.#next() < 0.5) await this.rig.kill(name)
    else await this.rig.stop(name)
    for (let orders = this.#upTo(4); orders > 0; orders -= 1) {
      await this.rig.pass(this.#upTo(AWAY_MS_MAX / 3))
      await this.#burst(0)
    }
    await this.rig.start(name)
  }

  /** All minutes closed, and one more for what was recorded as late after the last. */
  async end(): Promise<void> {
    await this.rig.pass(2 * MINUTE_MS)
    await this.rig.order(ITEMS[0] ?? '')
    await this.rig.pass(2 * MINUTE_MS)
  }
}

test(`${SEEDS} random days of ${STEPS} steps`, async () => {
  const seen = { orders: 0, repeats: 0, minutes: 0, late: 0 }
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const rig = await CampusRig.open()
    for (const item of ITEMS) await rig.restock(item, 60)
    for (const name of ['inventory', 'analytics', 'notifications'] as const) await rig.start(name)
    const hasLateOrders = seed % 2 === 0
    const day = new Day(rig, seed, hasLateOrders)
    for (let step = 0; step < STEPS; step += 1) await day.step()
    await day.end()
    const report = await rig.check()
    const told = (await rig.minutes()).reduce((sum, minute) => sum + minute.late, 0)
    expect({ seed, violations: report.violations, late: told }).toEqual({
      seed,
      violations: [],
      late: report.late,
    })
    // Who orders in time is in its minute, however long nobody looked.
    if (!hasLateOrders) expect({ seed, late: report.late }).toEqual({ seed, late: 0 })
    for (const name of ['orders', 'repeats', 'minutes', 'late'] as const) seen[name] += report[name]
    await rig.close()
  }
  // What these days were to be made of was in them.
  expect(seen.orders).toBeGreaterThan(SEEDS * 30)
  expect(seen.repeats).toBeGreaterThan(SEEDS)
  expect(seen.minutes).toBeGreaterThan(SEEDS * 3)
  expect(seen.late).toBeGreaterThan(SEEDS)
}, 120_000)
