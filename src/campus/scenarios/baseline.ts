/**
 * `baseline`: orders one after another, with how long each takes to be accepted and to be decided.
 *
 * Invariant: the time to a decision is taken from the client's side, from post to the first answer that is not "placed".
 */
import { check } from './feeds.ts'
import { percentiles, printTable, verdict } from './report.ts'
import { Session, orderNumber, type SessionOptions } from './session.ts'

const DECIDE_MS_MAX = 10_000

export async function baseline(count: number, options: SessionOptions): Promise<number> {
  const session = await Session.open(options)
  try {
    const accept: number[] = []
    const decide: number[] = []
    const accepted: string[] = []
    const run = crypto.randomUUID()
    for (let index = 0; index < count; index += 1) {
      const startedMs = performance.now()
      const placed = await session.client.place(orderNumber(index), `${run}-${index}`)
      accept.push(placed.latencyMs)
      accepted.push(placed.order_id)
      const path = `/orders/${placed.order_id}`
      const isDecided = ({ status }: { status: string }): boolean => status !== 'placed'
      const found = await session.client.waitFor(path, isDecided, DECIDE_MS_MAX)
      if (found !== undefined) decide.push(performance.now() - startedMs)
    }
    await session.settle()
    const stockNow = await session.client.shelves()
    const report = await check(session.log, { complete: false, accepted, stockNow })
    printTable('baseline', [
      ['orders', count],
      ['decided', decide.length],
      ['reserved', report.reserved],
      ['failed', report.failed],
      ...percentiles('accept', accept),
      ...percentiles('decide', decide),
    ])
    const missing = count - decide.length
    const violations = missing === 0 ? [] : [`${missing} orders were not decided in time`]
    return verdict([...report.violations, ...violations])
  } finally {
    await session.close()
  }
}
