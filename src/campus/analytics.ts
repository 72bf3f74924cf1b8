/**
 * `analytics`: orders and verdicts per minute, per item where they are, then one total per minute.
 *
 * Invariant: a minute's total waits for the slowest partition and source, so sums and late records together are all there was.
 *
 * Orders and verdicts have windows of their own, so that each keeps its own time: while inventory lags, its verdicts are
 * not late, only later.
 */
import { StreamsBuilder, long, store, string, tumbling } from '#millrace'
import type { Minute, Tally } from './schemas.ts'
import { inventoryEvents, lateRecords, metrics, orders } from './topics.ts'

export const MINUTE_MS = 60_000
export const GRACE_MS = 5_000
export const CLOSE_MS = 2_000
const DAY_MS = 86_400_000

const builder = new StreamsBuilder('campus-analytics')
const minute = tumbling({ sizeMs: MINUTE_MS, graceMs: GRACE_MS })
const none: Tally = { orders: 0, reserved: 0, failed: 0 }
const add = (a: Tally, b: Tally): Tally => ({
  orders: a.orders + b.orders,
  reserved: a.reserved + b.reserved,
  failed: a.failed + b.failed,
})

const placed = builder
  .stream(orders, { idle: { closeMs: CLOSE_MS }, maxAdvanceMs: DAY_MS })
  .dedupe('placed-seen', { by: ({ order_id }) => order_id, withinMs: DAY_MS })
  .mapValues((): Tally => ({ ...none, orders: 1 }))
  .groupByKey()
  .windowedBy(minute)
  .reduce('placed-per-minute', add, { emit: 'on-close' })

const decided = builder
  .stream(inventoryEvents, { idle: { closeMs: CLOSE_MS, after: 'campus-inventory' } })
  .mapValues(({ status }): Tally => ({ ...none, [status]: 1 }))
  .groupByKey()
  .windowedBy(minute)
  .reduce('decided-per-minute', add, { emit: 'on-close' })

/** Closed by the slowest upstream: late is only what a partition that had been quiet takes and others have passed. */
export const minuteTotals = placed
  .toStream()
  .merge(decided.toStream())
  .selectKey(() => 'campus')
  .repartition('minutes', { key: string(), partitions: 1, time: 'slowest-upstream' })
  .groupByKey()
  .windowedBy(tumbling({ sizeMs: MINUTE_MS, graceMs: 0 }))
  .reduce('minute-totals', add, { emit: 'on-close' })

/** Orders and verdicts that came late since the last minute. It has no windows, and so holds up none that have. */
const lateSince = store('late-since', { key: string(), value: long() })

builder
  .stream(lateRecords)
  .selectKey(() => 'campus')
  .repartition('late', { key: string(), partitions: 1 })
  .processValues('count-late', { lateSince }, ({ value }, { lateSince }, key) => {
    const { orders, reserved, failed } = value
    lateSince.put(key, (lateSince.get(key) ?? 0) + orders + reserved + failed)
    return undefined
  })

minuteTotals
  .toStream()
  .process('minutes', { lateSince }, function* (tally, { lateSince }, { key, window }) {
    const { orders, reserved, failed } = tally
    const late = lateSince.get(key) ?? 0
    lateSince.put(key, 0)
    const minute: Minute = {
      window_start: window.startMs,
      window_end: window.endMs,
      orders,
      orders_per_minute: orders,
      reserved,
      failed,
      failure_rate: reserved + failed === 0 ? 0 : failed / (reserved + failed),
      late,
    }
    yield [key, minute]
  })
  .to(metrics)

export const analyticsTopology = builder.build()
