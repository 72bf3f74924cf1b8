/** R20 on a real broker: it is killed under load and comes back; campus is killed while it is away. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '#millrace'
import { kafkaForTests, startCluster, type Cluster } from '#kafka-for-tests'
import { checkCampus, type CampusReport } from './invariants.ts'
import { Client, caughtUp, type ApplicationList } from './scenarios/client.ts'
import { Outbox } from './outbox.ts'
import { readRecords } from './test-helper/read-records.ts'
import { inventoryEvents, orders, stock } from './topics.ts'

const MAIN = join(import.meta.dir, 'main.ts')
const ITEMS = ['burger', 'pizza', 'soup', 'falafel']
const READY = /is ready on http:\/\/[^:]+:(\d+)/
const LONG_MS = 180_000
const CATCH_UP_MS = 90_000
const PACE_MS = 3

const kafka = await kafkaForTests()

/** Campus on the brokers, as a child process in a folder of its own. */
class OnBrokers {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'campus-kafka-'))
  readonly log: string
  url = ''
  child: Bun.Subprocess<'ignore', 'pipe', 'inherit'> | undefined

  constructor(bootstrap: string) {
    this.log = `kafka://${bootstrap}`
  }

  async start(failpoint?: string): Promise<void> {
    const child = Bun.spawn([process.execPath, MAIN, '--log', this.log, '--port', '0'], {
      cwd: this.folder,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      env: { ...process.env, ...(failpoint !== undefined && { MILLRACE_FAILPOINT: failpoint }) },
    })
    this.child = child
    let text = ''
    const reader = child.stdout.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) throw new Error(`campus never was ready: ${text}`)
      text += new TextDecoder().decode(value)
      const port = READY.exec(text)?.[1]
      if (port === undefined) continue
      this.url = `http://127.0.0.1:${port}`
      return
    }
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    this.child?.kill(signal)
    await this.child?.exited
    return this.child?.exitCode ?? null
  }

  async remove(): Promise<void> {
    await this.end()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async waiting(): Promise<number> {
    const outbox = new Outbox(join(this.folder, 'data/ingress.db'), 1)
    const { count } = outbox
    outbox.close()
    return count
  }

  async caughtUp(): Promise<void> {
    const list = await new Client(() => this.url).waitFor<ApplicationList>(
      '/applications',
      caughtUp,
      CATCH_UP_MS,
    )
    expect(list).toBeDefined()
  }

  /** What the topics say, and the orders of the topic as they first came. */
  async report(
    accepted: readonly string[],
  ): Promise<{ readonly report: CampusReport; readonly firsts: readonly string[] }> {
    const log = await openLog(this.log)
    try {
      const placed = await readRecords(log, orders.name)
      const feeds = {
        orders: placed,
        stock: await readRecords(log, stock.name),
        'inventory-events': await readRecords(log, inventoryEvents.name),
      }
      const report = await checkCampus(feeds, { complete: true, accepted })
      const ids = placed.map(({ value }) => String(JSON.parse(value ?? '').order_id))
      return { report, firsts: [...new Set(ids)] }
    } finally {
      await log.close()
    }
  }
}

interface Answered {
  readonly id: string
  readonly isLocal: boolean
}

/** Users that order one thing after the other until they are told to stop; each has an item of its own. */
class Users {
  readonly answered: readonly Answered[][] = ITEMS.map(() => [])
  refused = 0
  #isOver = false
  readonly #name: string
  readonly #done: Promise<void>

  /** `name` makes their orders others than those of other users. */
  constructor(name: string, url: () => string) {
    this.#name = name
    this.#done = Promise.all(ITEMS.map((item, at) => this.#order(url, item, at))).then(() => {})
  }

  get all(): readonly Answered[] {
    return this.answered.flat()
  }

  get locals(): number {
    return this.all.filter(({ isLocal }) => isLocal).length
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await Bun.sleep(5)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #order(url: () => string, item: string, at: number): Promise<void> {
    const client = new Client(url)
    for (let n = 0; !this.#isOver;) {
      const body = { item_id: item, qty: 1, user_id: `user-${at}` }
      const key = { 'idempotency-key': `${this.#name}-${at}-${n}` }
      const answer = await client.post('/order', body, key)
      if (answer?.status === 202) {
        const { order_id, durable } = answer.body as { order_id: string; durable?: string }
        const isLocal = durable === 'local'
        this.answered[at]?.push({ id: order_id, isLocal })
        n += 1
        // A broker takes its time to start, and whatever is ordered meanwhile is decided in the end.
        await Bun.sleep(isLocal ? 10 * PACE_MS : PACE_MS)
      } else {
        this.refused += 1
        await Bun.sleep(50)
      }
    }
  }
}

describe.skipIf(kafka === undefined)('brokers that are away', () => {
  let broker: Cluster
  let campus: OnBrokers
  beforeAll(async () => {
    broker = await startCluster()
    campus = new OnBrokers(broker.bootstrap)
  }, LONG_MS)
  afterAll(async () => {
    await campus.remove()
    await broker.down()
  })

  async function expectAllThere(users: Users): Promise<void> {
    await campus.caughtUp()
    expect(await campus.waiting()).toBe(0)
    const { report, firsts } = await campus.report(users.all.map(({ id }) => id))
    expect(report.violations).toEqual([])
    for (const own of users.answered) {
      // Each user has waited for the answer before, so that is the order of the item.
      const ids = own.map(({ id }) => id)
      const mine = new Set(ids)
      expect(firsts.filter((id) => mine.has(id))).toEqual(ids)
    }
  }

  const isBack = (users: Users): Promise<void> =>
    users.until(() => users.answered.every((own) => own.at(-1)?.isLocal === false))

  test(
    'orders are taken throughout; when the broker is back all of them are decided, each once',
    async () => {
      await campus.start()
      const users = new Users('away', () => campus.url)
      await users.until(() => users.all.length > 100)
      await broker.kill(1)
      await users.until(() => users.locals >= 200)
      expect(await campus.waiting()).toBeGreaterThan(0)
      await broker.start(1)
      await isBack(users)
      await users.stop()
      expect(users.refused).toBe(0)
      await expectAllThere(users)
      expect(await campus.end('SIGTERM')).toBe(0)
    },
    LONG_MS,
  )

  test.each(['ingress:kept:20', 'ingress:publishing:2', 'ingress:published'])(
    'kill -9 at %s while the broker is away or comes back loses nothing that was answered',
    async (failpoint) => {
      await campus.start(failpoint)
      const users = new Users(failpoint, () => campus.url)
      await users.until(() => users.all.length > 40)
      await broker.kill(1)
      const isKilled = (): boolean => campus.child?.signalCode === 'SIGKILL'
      await users.until(() => users.locals >= 40 || isKilled())
      await broker.start(1)
      await users.until(isKilled)
      expect(users.locals).toBeGreaterThan(0)
      await campus.start()
      const before = users.all.length
      await users.until(() => users.all.length > before + 20)
      await isBack(users)
      await users.stop()
      await expectAllThere(users)
      expect(await campus.end('SIGTERM')).toBe(0)
    },
    LONG_MS,
  )
})
