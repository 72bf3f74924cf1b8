/**
 * `load`: fires orders as fast as it can, over a bounded number of connections.
 *
 * Invariant: every order is accepted in the end, however often it was refused before.
 */
import { check } from './feeds.ts'
import { percentiles, printTable, verdict } from './report.ts'
import { Session, orderNumber, type SessionOptions } from './session.ts'

const CONNECTIONS = 32

export async function load(count: number, options: SessionOptions): Promise<number> {
  const session = await Session.open(options)
  try {
    const latencies: number[] = []
    const accepted: string[] = []
    const run = crypto.randomUUID()
    let next = 0
    const connection = async (): Promise<void> => {
      while (next < count) {
        const index = next
        next += 1
        const placed = await session.client.place(orderNumber(index), `${run}-${index}`)
        latencies.push(placed.latencyMs)
        accepted.push(placed.order_id)
      }
    }
    const startedMs = performance.now()
    await Promise.all(Array.from({ length: CONNECTIONS }, connection))
    const acceptedMs = performance.now() - startedMs
    const settled = await session.settle()
    const decidedMs = performance.now() - startedMs
    const stockNow = await session.client.shelves()
    const report = await check(session.log, { complete: false, accepted, stockNow })
    const undecided = report.orders - report.reserved - report.failed
    printTable('load', [
      ['orders', count],
      ['connections', CONNECTIONS],
      ['accepted per second', Math.round((count * 1000) / acceptedMs)],
      ['decided per second', Math.round((count * 1000) / decidedMs)],
      ['refused, then accepted', session.client.refused],
      ['reserved', report.reserved],
      ['failed', report.failed],
      ...percentiles('accept', latencies),
    ])
    const violations = settled && undecided === 0 ? [] : [`${undecided} orders are undecided`]
    return verdict([...report.violations, ...violations])
  } finally {
    await session.close()
  }
}
