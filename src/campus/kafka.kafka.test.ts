/** Campus on a real broker, end to end, as a person runs it: one process, over HTTP, stopped, killed and started again. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openLog, type Log } from '#millrace'
import { kafkaForTests, startCluster, type Cluster } from '#kafka-for-tests'
import { caughtUp, type ApplicationList } from './scenarios/client.ts'
import { checkByConsole } from './scenarios/kafka/console-check.ts'
import { orderNumber } from './scenarios/session.ts'
import { eventually } from './test-helper/eventually.ts'
import { KafkaProcess, KafkaProcesses } from './test-helper/kafka-process.ts'

const LONG_MS = 240_000
const MINUTE_CLOSES_MS_MAX = 120_000
const BODY = { item_id: 'burger', qty: 1, user_id: 'u1' }
const INVENTORY = 'campus-inventory'
const SCENARIOS = join(import.meta.dir, 'scenarios/main.ts')

const kafka = await kafkaForTests()

describe.skipIf(kafka === undefined)('campus on Kafka', () => {
  let broker: Cluster
  let log: Log
  let processes: KafkaProcesses
  let campus: KafkaProcess
  const accepted: string[] = []

  beforeAll(async () => {
    broker = await startCluster()
    log = await openLog(`kafka://${broker.bootstrap}`)
    processes = new KafkaProcesses(broker.bootstrap)
    campus = processes.add()
    await campus.start()
  }, LONG_MS)
  afterAll(async () => {
    await processes.remove()
    await log.close()
    await broker.down()
  })

  const place = async (n: number): Promise<string> => {
    const { order_id } = await campus.client.place(orderNumber(n), `order-${n}`)
    accepted.push(order_id)
    return order_id
  }
  const settled = (): Promise<void> =>
    eventually(async () => {
      const list = await campus.client.get<ApplicationList>('/applications')
      return list !== undefined && list.length === 3 && caughtUp(list)
    }, 'caught up')
  const get = (path: string): Promise<Response> => fetch(campus.url + path)

  test(
    'every route answers: 202, where it stands, its events, shelves, restock, minutes, applications',
    async () => {
      const answer = await campus.client.post('/order', BODY, { 'idempotency-key': 'first' })
      expect(answer?.status).toBe(202)
      const { order_id, status } = (answer?.body ?? {}) as { order_id: string; status: string }
      accepted.push(order_id)
      expect(status).toBe('placed')
      // A retry is answered the same, another body under the key is refused.
      expect(await campus.client.post('/order', BODY, { 'idempotency-key': 'first' })).toEqual(
        answer,
      )
      const other = { ...BODY, qty: 2 }
      expect(
        (await campus.client.post('/order', other, { 'idempotency-key': 'first' }))?.status,
      ).toBe(409)

      const events = await (await get(`/orders/${order_id}/events`)).text()
      expect(events).toContain('event: reserved')
      expect(await (await get(`/orders/${order_id}`)).json()).toMatchObject({ status: 'reserved' })
      expect((await get('/orders/nobody')).status).toBe(404)

      const shelves = (await (await get('/inventory')).json()) as { item_id: string }[]
      expect(shelves).toHaveLength(10)
      const before = (await (await get('/inventory/soup')).json()) as { available: number }
      const restock = { stock_id: 's1', item_id: 'soup', qty: 7 }
      expect((await campus.client.post('/stock', restock))?.status).toBe(202)
      expect((await campus.client.post('/stock', restock))?.status).toBe(202)
      const isRestocked = ({ available }: { available: number }): boolean =>
        available === before.available + 7
      expect(await campus.client.waitFor('/inventory/soup', isRestocked, 20_000)).toBeDefined()
      expect((await get('/inventory/unicorn')).status).toBe(404)

      expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' })
      expect((await get('/readyz')).status).toBe(200)
      expect((await get('/openapi.json')).status).toBe(200)
      expect((await get('/nothing')).status).toBe(404)
      expect((await campus.client.post('/order', { item_id: 'burger' }))?.status).toBe(400)

      const confirm = { confirm: INVENTORY }
      expect((await campus.client.post(`/applications/${INVENTORY}/stop`, confirm))?.status).toBe(
        200,
      )
      const waiting = await place(0)
      expect(await (await get(`/orders/${waiting}`)).json()).toMatchObject({ status: 'placed' })
      expect((await get('/inventory')).status).toBe(503)
      expect((await campus.client.post(`/applications/${INVENTORY}/start`, confirm))?.status).toBe(
        200,
      )
      const isDecided = (order: { status: string }): boolean => order.status !== 'placed'
      expect(await campus.client.waitFor(`/orders/${waiting}`, isDecided, 30_000)).toBeDefined()
    },
    LONG_MS,
  )

  test(
    'kill -9 wipes no store: a restart restores the tail only, and goes on',
    async () => {
      for (let n = 1; n < 600; n += 1) await place(n)
      await settled()
      let n = 600
      for (let round = 0; round < 3; round += 1) {
        const last = n + 40
        for (; n < last; n += 1) await place(n)
        await campus.kill()
        await campus.start()
        const first = await place(n)
        n += 1
        const isDecided = ({ status }: { status: string }): boolean => status !== 'placed'
        expect(await campus.client.waitFor(`/orders/${first}`, isDecided, 30_000)).toBeDefined()
        // At most what was placed since all was settled, in the changelogs of four stores.
        const { restoredRecords = -1 } = (await campus.share(INVENTORY)) ?? {}
        expect(restoredRecords).toBeGreaterThanOrEqual(0)
        expect(restoredRecords).toBeLessThan(4 * 45)
        await settled()
      }
      expect(processes.rebuilt).toEqual([])
    },
    LONG_MS,
  )

  test(
    'a broker that comes back with new leader epochs costs no store; a changelog made anew does (R6)',
    async () => {
      await broker.kill(1)
      await broker.start(1)
      const order = await place(1_000)
      const isDecided = ({ status }: { status: string }): boolean => status !== 'placed'
      expect(await campus.client.waitFor(`/orders/${order}`, isDecided, 60_000)).toBeDefined()
      await settled()
      await campus.kill()
      await campus.start()
      await settled()
      expect(processes.rebuilt).toEqual([])

      expect((await campus.stop()).code).toBe(0)
      // Of no use to anybody else: what `analytics` has seen, for a day.
      const topic = 'campus-analytics-placed-seen-changelog'
      const [described] = await log.describeTopics([topic])
      await log.deleteTopics([topic])
      await log.createTopics([{ topic, partitions: 4, config: described?.config ?? {} }])
      await campus.start()
      expect(processes.rebuilt).toHaveLength(4)
      for (const line of processes.rebuilt) expect(line).toContain('placed-seen')
      campus.complaints.length = 0
    },
    LONG_MS,
  )

  test(
    'SIGTERM drains: everything answered is decided when it has ended, and the next start restores nothing',
    async () => {
      const { client } = campus
      await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const { order_id } = await client.place(orderNumber(n), `drained-${n}`)
          accepted.push(order_id)
        }),
      )
      expect((await campus.stop()).code).toBe(0)
      await campus.start()
      await settled()
      expect((await campus.share(INVENTORY))?.restoredRecords).toBe(0)
      expect(processes.complaints).toEqual([])
    },
    LONG_MS,
  )

  test(
    'the minutes of what was ordered close when nobody orders any more, and are exact',
    async () => {
      type Minutes = readonly { readonly orders: number; readonly reserved: number }[]
      const count = new Set(accepted).size
      const all = await campus.client.waitFor<Minutes>(
        '/metrics/orders',
        (minutes) => minutes.reduce((sum, { orders }) => sum + orders, 0) >= count,
        MINUTE_CLOSES_MS_MAX,
      )
      expect(all?.reduce((sum, { orders }) => sum + orders, 0)).toBe(count)
    },
    LONG_MS,
  )

  test(
    'by the word of Kafka’s console consumer every invariant holds',
    async () => {
      const stockNow = await campus.client.shelves()
      const report = await checkByConsole(log, broker.bootstrap, {
        minutes: true,
        complete: true,
        accepted,
        stockNow,
      })
      expect(report.violations).toEqual([])
      expect(report.orders).toBe(new Set(accepted).size)
    },
    LONG_MS,
  )

  test.each([
    ['baseline', '20'],
    ['load', '300'],
    ['lag', '30'],
  ])(
    'bun run scenario %s finds nothing wrong',
    async (name, orders) => {
      const log = `kafka://${broker.bootstrap}`
      const command = [process.execPath, SCENARIOS, name, '--orders', orders]
      const child = Bun.spawn([...command, '--url', campus.url, '--log', log], {
        stdout: 'pipe',
        stderr: 'inherit',
      })
      const text = await new Response(child.stdout).text()
      expect(text).toContain('every invariant holds')
      expect(await child.exited).toBe(0)
    },
    LONG_MS,
  )

  test(
    'another cluster in the same folder gets state and an outbox of its own (R6)',
    async () => {
      expect((await campus.stop()).code).toBe(0)
      const other = await startCluster()
      try {
        const elsewhere = new KafkaProcess(processes.folder, other.bootstrap)
        await elsewhere.start()
        const { order_id: id } = await elsewhere.client.place(orderNumber(0), 'elsewhere')
        expect((await fetch(`${elsewhere.url}/orders/${accepted[0]}`)).status).toBe(404)
        expect((await elsewhere.stop()).code).toBe(0)
        const files = ['state/0', 'state/1', 'ingress.db', 'ingress-1.db']
        for (const file of files) {
          expect([file, existsSync(join(processes.folder, 'data', file))]).toEqual([file, true])
        }
        // And the first finds its own again.
        await campus.start()
        await settled()
        expect((await campus.share(INVENTORY))?.restoredRecords).toBe(0)
        expect((await get(`/orders/${id}`)).status).toBe(404)
        expect((await get(`/orders/${accepted[0]}`)).status).toBe(200)
        expect([...processes.complaints, ...elsewhere.complaints]).toEqual([])
      } finally {
        await other.down()
      }
    },
    LONG_MS,
  )
})
