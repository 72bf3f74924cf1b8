/**
 * `bun run scenario NAME`: drives campus over HTTP and checks every invariant.
 *
 * Invariant: exit code 1 if one is violated, 2 for a mistake of the caller.
 */
import { parseArgs } from 'node:util'
import { baseline } from './baseline.ts'
import { kill } from './kill.ts'
import { lag } from './lag.ts'
import { load } from './load.ts'

const HELP = `bun run scenario NAME [--orders N] [--kills N] [--url URL --log URL]

  baseline   orders one by one: how long to accept, how long to decide (50)
  load       orders as fast as it can (1000)
  lag        stops the inventory, sees lag grow and drain (100)
  kill       kill -9 at random moments and at every failpoint (20000 orders, 20 kills)

Each starts an application of its own; --url and --log drive a running one (not kill).`

const { values, positionals } = parseArgs({
  options: {
    orders: { type: 'string' },
    kills: { type: 'string' },
    url: { type: 'string' },
    log: { type: 'string' },
    help: { type: 'boolean' },
  },
  allowPositionals: true,
})
const orders = (fallback: number): number => Number(values.orders ?? fallback)
const session = { url: values.url, log: values.log }
const scenarios: Readonly<Record<string, () => Promise<number>>> = {
  baseline: () => baseline(orders(50), session),
  load: () => load(orders(1_000), session),
  lag: () => lag(orders(100), session),
  kill: () => kill({ orders: orders(20_000), kills: Number(values.kills ?? 20) }),
}
const chosen = scenarios[positionals[0] ?? '']
if (chosen === undefined || values.help === true) {
  console.log(HELP)
  process.exit(values.help === true ? 0 : 2)
}
process.exit(await chosen())
