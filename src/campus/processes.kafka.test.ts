/** Many processes on a real broker: they share the work, come, go and die under load, and nothing is lost, doubled or moved. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openLog, taskOwners, type Log } from '#millrace'
import { kafkaForTests, startCluster, type Cluster } from '#kafka-for-tests'
import { analyticsTopology } from './analytics.ts'
import { inventoryTopology } from './inventory.ts'
import { notificationsTopology } from './notifications.ts'
import { eventually } from './test-helper/eventually.ts'
import { KafkaProcesses, type KafkaProcess } from './test-helper/kafka-process.ts'
import { checkByConsole } from './scenarios/kafka/console-check.ts'
import { orderNumber } from './scenarios/session.ts'

const LONG_MS = 300_000
const INVENTORY = 'campus-inventory'
const USERS = 4
const TOPOLOGIES = [inventoryTopology, analyticsTopology, notificationsTopology]

const kafka = await kafkaForTests()

/** Users that order one thing after the other until they are told to stop. */
class Load {
  readonly accepted: string[] = []
  readonly #done: Promise<unknown>
  #isOver = false

  constructor(name: string, { client }: KafkaProcess, paceMs: number) {
    const user = async (who: number): Promise<void> => {
      for (let n = who; !this.#isOver; n += USERS) {
        const placed = await client.place(orderNumber(n), `${name}-${n}`)
        this.accepted.push(placed.order_id)
        await Bun.sleep(paceMs)
      }
    }
    this.#done = Promise.all(Array.from({ length: USERS }, (_, who) => user(who)))
  }

  async more(count: number): Promise<void> {
    const goal = this.accepted.length + count
    await eventually(() => this.accepted.length >= goal, `${count} more orders`)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }
}

const tasksOf = async (one: KafkaProcess): Promise<readonly string[]> =>
  (await one.shares()).flatMap(({ id, tasks }) => tasks.map((taskId) => `${id} ${taskId}`))

/** Every task is run by one of these, and by nobody else. */
async function areShared(processes: readonly KafkaProcess[]): Promise<boolean> {
  const lists = await Promise.all(processes.map((one) => one.shares()))
  for (const [index, { id, tasksOfAll } = { id: '', tasksOfAll: -1 }] of (
    lists[0] ?? []
  ).entries()) {
    const shares = lists.map((list) => list[index])
    if (shares.some((share) => share?.id !== id || share.state !== 'running')) return false
    const tasks = shares.flatMap((share) => share?.tasks ?? [])
    if (tasks.length !== tasksOfAll || new Set(tasks).size !== tasksOfAll) return false
    const counts = shares.map((share) => share?.tasks.length ?? 0)
    if (Math.max(...counts) - Math.min(...counts) > 1) return false
  }
  return lists.every((list) => list.length > 0)
}

/** Every group is at rest, nobody else has a place in it, and it knows where these processes answer. */
async function areKnown(log: Log, processes: readonly KafkaProcess[]): Promise<boolean> {
  const urls = processes.map(({ url }) => url)
  const groups = await log.describeGroups(TOPOLOGIES.map(({ applicationId }) => applicationId))
  const isStill = groups.every(
    ({ state, members }) => state === 'stable' && members.length === processes.length,
  )
  const owners = await Promise.all(TOPOLOGIES.map((topology) => taskOwners(log, topology)))
  return (
    isStill &&
    owners.every((tasks) =>
      [...tasks.values()].every(({ endpoint = '' }) => urls.includes(endpoint)),
    )
  )
}

async function caughtUp(one: KafkaProcess): Promise<boolean> {
  const shares = await one.shares()
  return shares.length > 0 && shares.every(({ state, lag }) => state === 'running' && lag === 0)
}

describe.skipIf(kafka === undefined)('processes on brokers', () => {
  let broker: Cluster
  let log: Log
  let processes: KafkaProcesses
  beforeAll(async () => {
    broker = await startCluster()
    log = await openLog(`kafka://${broker.bootstrap}`)
    processes = new KafkaProcesses(broker.bootstrap)
  }, LONG_MS)
  afterAll(async () => {
    await processes.remove()
    await log.close()
    await broker.down()
  })

  test(
    'one, two, four and one again share the tasks under load; every order is decided once',
    async () => {
      const ingress = processes.add('--role', 'ingress')
      const workers = Array.from({ length: 4 }, () => processes.add('--role', 'worker'))
      const [first, second, third, fourth] = workers as [
        KafkaProcess,
        KafkaProcess,
        KafkaProcess,
        KafkaProcess,
      ]
      await Promise.all([ingress.start(), first.start()])
      const load = new Load('many', ingress, 5)
      await load.more(200)
      await second.start()
      await eventually(() => areShared([first, second]), 'two share')
      await load.more(200)
      await Promise.all([third.start(), fourth.start()])
      await eventually(() => areShared(workers), 'four share')
      await load.more(200)
      // One goes politely, one is killed, one is stopped while it is waited for.
      expect((await second.stop()).code).toBe(0)
      await third.kill()
      await load.more(200)
      expect((await fourth.stop()).code).toBe(0)
      await eventually(() => areShared([first]), 'one has all')
      await load.more(200)
      await load.stop()
      await eventually(() => caughtUp(first), 'caught up')
      const report = await checkByConsole(log, broker.bootstrap, {
        minutes: false,
        complete: true,
        accepted: load.accepted,
      })
      expect(report.violations).toEqual([])
      expect(report.orders).toBe(load.accepted.length)
      expect(processes.rebuilt).toEqual([])
      expect((await first.stop()).code).toBe(0)
      expect((await ingress.stop()).code).toBe(0)
    },
    LONG_MS,
  )

  test(
    'a rolling restart moves no task, wherever the restarted process answers then (rule 12)',
    async () => {
      const ingress = processes.add('--role', 'ingress')
      const pair = [processes.add('--role', 'worker'), processes.add('--role', 'worker')] as const
      await Promise.all([ingress.start(), ...pair.map((one) => one.start())])
      await eventually(() => areShared(pair), 'two share')
      const isKnown = (): Promise<boolean> => areKnown(log, pair)
      await eventually(isKnown, 'nobody else has a place')
      const load = new Load('rolling', ingress, 10)
      await load.more(50)
      for (const [restarted, other] of [pair, pair.toReversed()] as [
        KafkaProcess,
        KafkaProcess,
      ][]) {
        const [held, beside] = [await tasksOf(restarted), await tasksOf(other)]
        expect(held.length).toBeGreaterThan(0)
        const before = restarted.url
        for (const how of ['stop', 'kill'] as const) {
          await restarted[how]()
          await load.more(20)
          expect(await tasksOf(other)).toEqual(beside)
          await restarted.start()
          expect(restarted.url).not.toBe(before)
          await eventually(
            async () => JSON.stringify(await tasksOf(restarted)) === JSON.stringify(held),
            'its tasks run again',
          )
          await eventually(isKnown, 'where it answers is known')
          expect(await tasksOf(other)).toEqual(beside)
          await load.more(20)
        }
      }
      // The group knows where they answer now: what the ingress is asked it asks of them.
      const id = load.accepted.at(-1) ?? ''
      const decided = await ingress.client.waitFor<{ readonly status: string }>(
        `/orders/${id}`,
        ({ status }) => status !== 'placed',
        30_000,
      )
      expect(decided?.status).toBeOneOf(['reserved', 'failed'])
      await load.stop()
      await eventually(async () => (await caughtUp(pair[0])) && caughtUp(pair[1]), 'caught up')
      const report = await checkByConsole(log, broker.bootstrap, {
        minutes: false,
        complete: true,
        accepted: load.accepted,
      })
      expect(report.violations).toEqual([])
      expect(processes.rebuilt).toEqual([])
      for (const one of [ingress, ...pair]) expect((await one.stop()).code).toBe(0)
    },
    LONG_MS,
  )

  test(
    'with standbys a takeover restores what the standby has not followed yet, and no more',
    async () => {
      const ingress = processes.add('--role', 'ingress')
      const flags = ['--role', 'worker', '--standbys', '1']
      const pair = [processes.add(...flags), processes.add(...flags)] as const
      const [first, second] = pair
      await Promise.all([ingress.start(), ...pair.map((one) => one.start())])
      await eventually(() => areShared(pair), 'two share')
      const load = new Load('standby', ingress, 2)
      await load.more(1_500)
      await load.stop()
      await eventually(async () => (await caughtUp(first)) && caughtUp(second), 'caught up')
      const before = await second.share(INVENTORY)
      const stateful = (await first.share(INVENTORY))?.tasks ?? []
      expect(before?.standbys).toEqual([...stateful])
      // What it has followed stands still once everything is committed.
      const followed = async (): Promise<number> =>
        (await second.share(INVENTORY))?.restoredRecords ?? 0
      let restored = -1
      await eventually(async () => {
        const last = restored
        restored = await followed()
        await Bun.sleep(500)
        return restored === last && restored > 500
      }, 'the standby has followed')
      await first.kill()
      await eventually(() => areShared([second]), 'taken over')
      expect((await followed()) - restored).toBeLessThan(50)
      const { client } = ingress
      const after = new Load('taken-over', ingress, 2)
      await after.more(100)
      await after.stop()
      await eventually(() => caughtUp(second), 'caught up')
      expect(await client.get<readonly unknown[]>('/inventory')).toHaveLength(10)
      const report = await checkByConsole(log, broker.bootstrap, {
        minutes: false,
        complete: true,
        accepted: [...load.accepted, ...after.accepted],
      })
      expect(report.violations).toEqual([])
      expect(processes.rebuilt).toEqual([])
      for (const one of [ingress, second]) expect((await one.stop()).code).toBe(0)
    },
    LONG_MS,
  )

  test(
    'what nobody runs is a problem that says so, not a wrong answer',
    async () => {
      const ingress = processes.add('--role', 'ingress')
      await ingress.start()
      await eventually(async () => {
        const response = await fetch(`${ingress.url}/inventory`)
        const { detail } = (await response.json()) as { readonly detail?: string }
        return response.status === 503 && detail?.includes('nobody runs that part') === true
      }, 'nobody runs it')
      const response = await fetch(`${ingress.url}/inventory/soup`)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('1')
      // The order is taken all the same, and known.
      const placed = await ingress.client.place(orderNumber(0), 'nobody')
      const found = await ingress.client.get<{ readonly status: string }>(
        `/orders/${placed.order_id}`,
      )
      expect(found?.status).toBe('placed')
      expect((await ingress.stop()).code).toBe(0)
    },
    LONG_MS,
  )
})
