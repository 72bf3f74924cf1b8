/**
 * What all drills on Kafka have in common: a cluster, processes, users who order, and at the end every invariant on what Kafka's
 * own consumer reads.
 *
 * Invariant: a drill whose fault did not happen fails; so does one that costs a store, or leaves lag or an open transaction.
 */
import { openLog, type Log } from '#millrace'
import { startCluster, type Cluster } from '#kafka-for-tests'
import { KafkaProxy } from '#kafka-for-tests/proxy'
import { Orders } from '../orders.ts'
import { printTable, verdict, type Row } from '../report.ts'
import { checkByConsole } from './console-check.ts'
import { deadLetters } from './dead-letters.ts'
import { keepEvidence } from './evidence.ts'
import { Fleet, type Member } from './fleet.ts'
import { Seeded } from './seeded.ts'
import { holders, waitUntil } from './watch.ts'

export interface DrillOptions {
  readonly orders: number
  readonly seed: number
  readonly brokers: number
  /** How often each fault is brought about at least; faults go on for as long as orders do. */
  readonly rounds: number
  /** Does not wait until the last minute has closed. */
  readonly quick: boolean
}

export interface DrillPlan {
  readonly name: string
  readonly members: number
  readonly isProxied?: boolean
  readonly flags?: readonly string[]
  /** Added to the log's URL. */
  readonly settings?: Readonly<Record<string, string>>
  /** Brings the faults about; when it resolves, everything runs that is to run. */
  run(drill: Drill): Promise<void>
}

const READY_TRIES = 3
const SETTLE_MS_MAX = 120_000
const CLOSES_MS_MAX = 100_000
const COMPLAINTS_SHOWN = 12

export class Drill {
  readonly options: DrillOptions
  readonly cluster: Cluster
  readonly proxy: KafkaProxy
  readonly fleet: Fleet
  readonly log: Log
  readonly orders: Orders
  readonly random: Seeded
  readonly rows: Row[] = []
  readonly violations: string[] = []
  readonly #instances = new Map<Member, string>()

  constructor(parts: {
    readonly options: DrillOptions
    readonly cluster: Cluster
    readonly proxy: KafkaProxy
    readonly fleet: Fleet
    readonly log: Log
    readonly name: string
  }) {
    const { options, cluster, proxy, fleet, log, name } = parts
    this.options = options
    this.cluster = cluster
    this.proxy = proxy
    this.fleet = fleet
    this.log = log
    this.orders = new Orders(fleet.client, options.orders, name)
    this.random = new Seeded(options.seed)
  }

  violate(what: string): void {
    console.log(`  ${this.#at()} VIOLATED: ${what}`)
    this.violations.push(what)
  }

  say(what: string): void {
    console.log(`  ${this.#at()} ${what}`)
  }

  /** A new process; how it is known to the group is learnt from what its start adds. */
  async join(): Promise<Member> {
    const before = await holders(this.log)
    const member = this.fleet.add()
    await this.start(member)
    await waitUntil(async () => {
      const added = [...(await holders(this.log)).keys()].find((id) => !before.has(id))
      if (added !== undefined) this.#instances.set(member, added)
      return added !== undefined
    }, SETTLE_MS_MAX)
    return member
  }

  /** Starts it, and again if it ended before it was ready, which must not happen. */
  async start(member: Member): Promise<void> {
    for (let attempt = 1; attempt <= READY_TRIES; attempt += 1) {
      if ((await member.start()) !== undefined) return
      this.violate(`${member.clientId} did not start: ${member.complaints.at(-1) ?? 'no word'}`)
    }
  }

  /** Partitions of `orders` that the process holds by the group's word. */
  async partitionsOf(member: Member): Promise<readonly number[]> {
    return (await holders(this.log)).get(this.#instances.get(member) ?? '') ?? []
  }

  async isMember(member: Member): Promise<boolean> {
    return (await holders(this.log)).has(this.#instances.get(member) ?? '')
  }

  /** True while `round`, from 0, is to be: there are as many as asked for, and more while users order. */
  goesOn(round: number): boolean {
    return round < this.options.rounds || this.orders.accepted.length < this.options.orders
  }

  /** Users get on with it: so many more orders are accepted. */
  async progress(count: number, waitMs: number): Promise<boolean> {
    const goal = this.orders.accepted.length + count
    return waitUntil(() => this.orders.accepted.length >= goal, waitMs)
  }

  #at(): string {
    return `${(performance.now() / 1000).toFixed(1).padStart(6)} s`
  }
}

export async function runDrill(plan: DrillPlan, options: DrillOptions): Promise<number> {
  const { name, members, isProxied = false, flags = [], settings = {} } = plan
  const heldUntilTheEnd: (() => Promise<unknown>)[] = []
  const holding = <T>(thing: T, release: (thing: T) => Promise<unknown>): T => {
    heldUntilTheEnd.unshift(() => release(thing))
    return thing
  }
  try {
    const startedMs = performance.now()
    console.log(`${name}: seed ${options.seed}, ${options.brokers} brokers, ${members} processes`)
    const clusterOptions = { brokers: options.brokers, proxied: isProxied }
    const cluster = holding(await startCluster(clusterOptions), (one) => one.down())
    const proxy = holding(await KafkaProxy.start(cluster.proxied), (one) => one.close())
    const bootstrap = isProxied ? proxy.bootstrap : cluster.bootstrap
    const fleet = holding(new Fleet({ bootstrap, flags, settings }), (one) => one.remove())
    const log = holding(await openLog(`kafka://${cluster.bootstrap}`), (one) => one.close())
    const drill = new Drill({ options, cluster, proxy, fleet, log, name })
    for (let index = 0; index < members; index += 1) await drill.join()
    const posting = drill.orders.run()
    try {
      await drill.progress(1, SETTLE_MS_MAX)
      await plan.run(drill)
    } finally {
      drill.orders.stop()
    }
    await posting
    proxy.heal()
    const drained = await conclude(drill)
    const tookMs = performance.now() - startedMs
    printTable(name, [
      ['seed', options.seed],
      ['brokers', options.brokers],
      ...drill.rows,
      ...drained,
      ['took', `${Math.round(tookMs / 1000)} s`],
    ])
    if (drill.violations.length > 0)
      console.log(`  every record is kept in ${await keepEvidence(log, name)}`)
    for (const line of fleet.complaints.slice(0, COMPLAINTS_SHOWN)) console.log(`  said: ${line}`)
    return verdict(drill.violations)
  } finally {
    for (const release of heldUntilTheEnd) await release()
  }
}

/** Safety was drilled; now liveness (I12), and then everything that must hold of the records. */
async function conclude(drill: Drill): Promise<readonly Row[]> {
  const { fleet, orders, options, violations } = drill
  const { accepted } = orders
  drill.say(`${accepted.length} orders accepted; waiting for the rest`)
  const fromMs = performance.now()
  if (!(await fleet.settle(SETTLE_MS_MAX))) drill.violate('it did not catch up')
  const drainMs = performance.now() - fromMs
  if (!options.quick) await fleet.client.minutesClosed(accepted.length, CLOSES_MS_MAX)
  const stockNow = await fleet.shelves()
  const minutes = !options.quick
  const expected = { complete: true, accepted, stockNow, minutes, manyIngresses: true }
  const report = await checkByConsole(drill.log, drill.cluster.bootstrap, expected)
  if (stockNow.size === 0) drill.violate('no process says what is on the shelves')
  violations.push(...report.violations, ...(await deadLetters(drill.log)))
  const rebuilt = fleet.complaints.filter((line) => line.includes('is rebuilt'))
  violations.push(...rebuilt.map((line) => `a store was wiped: ${line}`))
  return [
    ['orders accepted', accepted.length],
    ['distinct orders', report.orders],
    ['retries that came again', report.repeats],
    ['connections that broke', fleet.client.broken],
    ['refused with 503', fleet.client.refused],
    ['reserved', report.reserved],
    ['failed', report.failed],
    ...(minutes
      ? ([
          ['closed minutes', report.minutes],
          ['late', report.late],
        ] as const)
      : []),
    ['lag gone after', `${(drainMs / 1000).toFixed(1)} s`],
  ]
}
