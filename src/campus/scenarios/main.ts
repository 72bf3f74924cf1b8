/**
 * `bun run scenario NAME`: drives campus over HTTP and checks every invariant.
 *
 * Invariant: exit code 1 if one is violated, 2 for a mistake of the caller.
 */
import { parseArgs } from 'node:util'
import { baseline } from './baseline.ts'
import { kafkaBroker } from './kafka/broker.ts'
import type { DrillOptions } from './kafka/drill.ts'
import { kafkaEqual } from './kafka/equal.ts'
import { kafkaKill } from './kafka/kill.ts'
import { kafkaProxy } from './kafka/proxy.ts'
import { kafkaRebalance } from './kafka/rebalance.ts'
import { kafkaZombie } from './kafka/zombie.ts'
import { kill } from './kill.ts'
import { lag } from './lag.ts'
import { load } from './load.ts'

const HELP = `bun run scenario NAME [--orders N] [--kills N] [--url URL --log URL]
                         [--brokers N] [--rounds N] [--seed N] [--quick]

  baseline   orders one by one: how long to accept, how long to decide (50)
  load       orders as fast as it can (1000)
  lag        stops the inventory, sees lag grow and drain (100)
  kill       kill -9 at random moments and at every failpoint (20000 orders, 20 kills)

On a real Kafka of their own, campus in two processes, checked by what Kafka's console consumer reads (5000 orders):
  kafka-kill       kill -9 of a process at random moments and at every failpoint
  kafka-broker     kill -9 of the broker that leads, coordinates or controls, and of all (3 brokers)
  kafka-proxy      lost, late and repeated requests and responses between campus and the broker
  kafka-zombie     a process is stopped until its tasks have moved, and goes on, also inside a commit
  kafka-rebalance  processes join and leave every 3 s
  kafka-equal      recorded orders through the embedded log, one process and three: equal verdicts (100000)
--rounds says how often each fault comes; --quick does not wait for the last minute to close.

The first four start an application of their own; --log says on which log (not kill), and with --url a running one is
driven.`

const { values, positionals } = parseArgs({
  options: {
    orders: { type: 'string' },
    kills: { type: 'string' },
    url: { type: 'string' },
    log: { type: 'string' },
    brokers: { type: 'string' },
    rounds: { type: 'string' },
    seed: { type: 'string' },
    quick: { type: 'boolean' },
    help: { type: 'boolean' },
  },
  allowPositionals: true,
})
const orders = (fallback: number): number => Number(values.orders ?? fallback)
const drill = (brokers: number, rounds: number): DrillOptions => ({
  orders: orders(5_000),
  brokers: Number(values.brokers ?? brokers),
  rounds: Number(values.rounds ?? rounds),
  seed: Number(values.seed ?? Math.floor(Math.random() * 1e6)),
  quick: values.quick ?? false,
})
const session = { url: values.url, log: values.log }
const scenarios: Readonly<Record<string, () => Promise<number>>> = {
  baseline: () => baseline(orders(50), session),
  load: () => load(orders(1_000), session),
  lag: () => lag(orders(100), session),
  'kafka-kill': () => kafkaKill(drill(1, 5)),
  'kafka-broker': () => kafkaBroker(drill(3, 1)),
  'kafka-proxy': () => kafkaProxy(drill(1, 3)),
  'kafka-zombie': () => kafkaZombie(drill(1, 1)),
  'kafka-rebalance': () => kafkaRebalance(drill(1, 8)),
  'kafka-equal': () => kafkaEqual({ orders: orders(100_000), seed: Number(values.seed ?? 7) }),
  kill: () => kill({ orders: orders(20_000), kills: Number(values.kills ?? 20) }),
}
const chosen = scenarios[positionals[0] ?? '']
if (chosen === undefined || values.help === true) {
  console.log(HELP)
  process.exit(values.help === true ? 0 : 2)
}
process.exit(await chosen())
