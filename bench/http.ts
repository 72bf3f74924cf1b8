/** Orders accepted over HTTP, durable when answered, beside a route that only checks them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '#log'
import { ServerProcess } from './child.ts'
import { figureOf, type Figure } from './figure.ts'
import { post, quantile, type Burst } from './http-client.ts'
import type { Rounds } from './rounds.ts'

const CONNECTIONS = 32
const ACCEPTED = 202
const ITEMS = ['burger', 'pizza', 'salad', 'ramen', 'burrito']

export async function http(options: {
  readonly orders: number
  readonly rounds: Rounds
}): Promise<readonly Figure[]> {
  const { orders, rounds } = options
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const url = `sqlite:${join(folder, 'campus.db')}`
  const campus = await ServerProcess.campus(url)
  const bare = await ServerProcess.start('bench/bare-route.ts')
  const bursts = new Map<ServerProcess, Burst[]>([
    [campus, []],
    [bare, []],
  ])
  for (let round = 0; round < rounds.warmUps + rounds.counted; round += 1) {
    for (const server of round % 2 === 0 ? [campus, bare] : [bare, campus]) {
      const burst = await post(server.url, '/order', {
        connections: CONNECTIONS,
        count: orders,
        bodyOf: (number) => {
          const item_id = ITEMS[number % ITEMS.length]
          return JSON.stringify({ item_id, qty: 1, user_id: `u${number % 1_000}` })
        },
      })
      if (burst.statuses.get(ACCEPTED) !== orders) {
        throw new Error(`answers by status: ${JSON.stringify([...burst.statuses])}`)
      }
      if (round >= rounds.warmUps) bursts.get(server)?.push(burst)
    }
  }
  await campus.stop()
  await bare.stop()
  await assertOnLog(url, orders * (rounds.warmUps + rounds.counted))
  rmSync(folder, { recursive: true })
  return [
    ...figuresOf('campus', bursts.get(campus) ?? [], orders),
    ...figuresOf('bare route', bursts.get(bare) ?? [], orders),
  ]
}

/** Every order that was answered with 202 is on the log, once. */
async function assertOnLog(url: string, orders: number): Promise<void> {
  const log = await openLog(url, { create: false })
  const [described] = await log.describeTopics(['orders'])
  let found = 0
  for (let partition = 0; partition < (described?.partitions ?? 0); partition += 1) {
    found += await log.endOffset({ topic: 'orders', partition }, 'read-committed')
  }
  await log.close()
  if (found !== orders) throw new Error(`${orders} orders were accepted, ${found} are on the log`)
}

function figuresOf(name: string, bursts: readonly Burst[], orders: number): readonly Figure[] {
  const rest = { bench: 'http', name, checksum: `${orders} times 202` }
  const perSecond = bursts.map(({ seconds }) => orders / seconds)
  const at = (part: number): readonly number[] =>
    bursts.map(({ latenciesMs }) => quantile(latenciesMs, part))
  return [
    figureOf(perSecond, { ...rest, unit: `orders a second, ${CONNECTIONS} connections` }),
    figureOf(at(0.5), { ...rest, unit: 'ms, median latency' }),
    figureOf(at(0.99), { ...rest, unit: 'ms, p99 latency' }),
  ]
}
