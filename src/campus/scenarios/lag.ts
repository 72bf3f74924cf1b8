/**
 * `lag`: stops the inventory, sees lag grow, starts it, sees it drain; the closed minutes then come out exact.
 *
 * Invariant: nothing is decided while the inventory is stopped, and everything once it has caught up.
 */
import type { Minute } from '../schemas.ts'
import { check } from './feeds.ts'
import { printTable, verdict } from './report.ts'
import { Session, orderNumber, type SessionOptions } from './session.ts'

const INVENTORY = 'campus-inventory'
const MINUTE_CLOSES_MS_MAX = 75_000

export async function lag(count: number, options: SessionOptions): Promise<number> {
  const session = await Session.open(options)
  const violations: string[] = []
  try {
    const { client } = session
    const confirm = { confirm: INVENTORY }
    await client.post(`/applications/${INVENTORY}/stop`, confirm)
    const accepted: string[] = []
    const run = crypto.randomUUID()
    for (let index = 0; index < count; index += 1) {
      const { order_id } = await client.place(orderNumber(index), `${run}-${index}`)
      accepted.push(order_id)
    }
    const during = await check(session.log, { complete: false, accepted })
    const waiting = during.orders - during.reserved - during.failed
    if (waiting < count) violations.push(`only ${waiting} of ${count} orders wait`)

    await client.post(`/applications/${INVENTORY}/start`, confirm)
    const startedMs = performance.now()
    const drained = await session.settle()
    const drainMs = performance.now() - startedMs
    if (!drained) violations.push('lag did not drain')

    const closed = await waitForMinutes(session, during.orders)
    const stockNow = await session.client.shelves()
    const report = await check(session.log, { complete: true, accepted, stockNow })
    violations.push(...report.violations)
    const rates = closed.map(({ reserved, failed }) => `${failed}/${reserved + failed}`)
    printTable('lag', [
      ['orders', count],
      ['waited while stopped', waiting],
      ['drained in', `${Math.round(drainMs)} ms`],
      ['closed minutes', report.minutes],
      ['failed/decided per minute', rates.join(' ')],
      ['late', report.late],
    ])
    return verdict(violations)
  } finally {
    await session.close()
  }
}

/** The minutes, once all orders are in closed ones. */
async function waitForMinutes(session: Session, orders: number): Promise<readonly Minute[]> {
  const isAll = (minutes: readonly Minute[]): boolean =>
    minutes.reduce((sum, minute) => sum + minute.orders, 0) >= orders &&
    minutes.reduce((sum, minute) => sum + minute.reserved + minute.failed, 0) >= orders
  const path = '/metrics/orders'
  const found = await session.client.waitFor<readonly Minute[]>(path, isAll, MINUTE_CLOSES_MS_MAX)
  return found ?? (await session.client.get<readonly Minute[]>(path)) ?? []
}
