import { CarefulTasks } from './careful-tasks.ts'
import { describe, expect, test } from 'bun:test'
import { NO_HEADERS, RecordBatchWriter, type Appended, type LogWriter } from '#log'
import { createMemoryLog } from '#log/memory'
import { MemoryBackend } from '#state/memory'
import { assert } from '#system'
import { VirtualClock } from '#testing'
import { string, StreamsBuilder, topic } from '#topology'
import { Recovery } from './recovery.ts'
import { DEFAULT_LIMITS, machineOf } from './streams-options.ts'
import { DEFAULT_TASK_OPTIONS } from './task-options.ts'
import { gate } from './test-helpers/faulty-log.ts'
import { appendRounds, countingCluster, expectCounted } from './test-helpers/counting.ts'
import type { TestCluster, TestProcess } from './test-helpers/test-cluster.ts'

const CHANGELOG = 'counter-word-counts-changelog'

async function ran(cluster: TestCluster, rounds: number, instanceId: string): Promise<TestProcess> {
  const process = cluster.start({ instanceId })
  await appendRounds(cluster, rounds)
  await cluster.caughtUp()
  process.worker.stop(true)
  await process.ended
  return process
}

/** What somebody else writes into the changelog: one record a partition. */
async function appendForeign(cluster: TestCluster): Promise<void> {
  const writer = await cluster.log.writer()
  for (let partition = 0; partition < 4; partition += 1) {
    const batch = new RecordBatchWriter()
    batch.add(0, new TextEncoder().encode(`foreign-${partition}`), new Uint8Array(8), NO_HEADERS)
    await writer.append({ topic: CHANGELOG, partition, bytes: batch.finish(), count: 1 })
  }
}

/** A standby of a task whose only store has no changelog. */
async function unloggedStandby(): Promise<{
  readonly clock: VirtualClock
  readonly standby: Recovery
  readonly openStore: () => Promise<unknown>
}> {
  const builder = new StreamsBuilder('app')
  builder
    .stream(topic('words', { key: string(), value: string() }))
    .groupByKey()
    .count('counts', { logged: false })
  const topology = builder.build()
  const subTopology = topology.subTopologies[0]
  assert(subTopology !== undefined, 'a count is a sub-topology')
  const clock = new VirtualClock()
  const log = createMemoryLog({ clock })
  await log.createTopics([{ topic: 'words', partitions: 1, config: {} }])
  const backend = new MemoryBackend()
  const identity = { applicationId: 'app', topology, subTopology, partition: 0, taskId: '0_0' }
  const setup = {
    log,
    groupId: 'app',
    backends: { for: () => Promise.resolve(backend) },
    partitionCounts: new Map([['words', 1]]),
    batchLimits: new Map(),
    carefulTasks: new CarefulTasks(),
    taskOptions: DEFAULT_TASK_OPTIONS,
    limits: DEFAULT_LIMITS,
    machine: machineOf({ clock }),
    isBusy: () => false,
    appendsFirst: false,
  }
  const inputs = [{ topic: 'words', partition: 0 }]
  return {
    clock,
    standby: new Recovery(setup, identity, inputs, 'standby'),
    openStore: () => backend.open({ applicationId: 'app', taskId: '0_0', storeName: 'counts' }),
  }
}

describe('recovery', () => {
  test('a standby with nothing to follow waits for its stop, and leaves no store open', async () => {
    const { clock, standby, openStore } = await unloggedStandby()
    let hasEnded = false
    const running = standby.run().finally(() => (hasEnded = true))
    for (let turn = 0; turn < 20; turn += 1) await clock.turn()
    expect(standby.stores.size).toBe(1)
    expect(hasEnded).toBe(false)
    standby.stop()
    expect(await running).toBeUndefined()
    await openStore()
  })

  test('stops with OFFSETS_LOST where there is state and no input was ever committed (R22)', async () => {
    const cluster = await countingCluster()
    await appendForeign(cluster)
    const process = cluster.start()
    await process.ended
    expect(process.error).toMatchObject({ code: 'OFFSETS_LOST', taskId: '0_0' })
  })

  test('a task whose first commit another owner makes meanwhile is not one whose offsets were lost', async () => {
    const cluster = await countingCluster()
    const slow = cluster.start({ instanceId: 'slow' })
    let hasAsked = false
    const answered = gate()
    const ask = slow.log.committedOffsets.bind(slow.log)
    slow.log.committedOffsets = async (groupId, inputs) => {
      const committed = await ask(groupId, inputs)
      hasAsked = true
      await answered.opened
      return committed
    }
    await cluster.until(() => hasAsked, 'it asks')
    const heard = gate()
    void slow.log.expel(heard.opened)
    const other = cluster.start({ instanceId: 'other' })
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    answered.open()
    await cluster.pass(100)
    heard.open()
    await cluster.until(() => slow.tasks.length + other.tasks.length === 4, 'both have their tasks')
    expect([slow.error, other.error]).toEqual([undefined, undefined])
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 3)
  })

  test('stops with OFFSETS_LOST where an input no longer reaches back to what was committed (R22)', async () => {
    const cluster = await countingCluster()
    await ran(cluster, 2, 'i')
    await appendRounds(cluster, 2)
    for (let partition = 0; partition < 4; partition += 1) {
      const place = { topic: 'words', partition }
      await cluster.log.deleteRecords(place, await cluster.log.endOffset(place, 'read-committed'))
    }
    const process = cluster.start({ instanceId: 'i' })
    await process.ended
    expect(process.error).toMatchObject({ code: 'OFFSETS_LOST' })
  })

  test('begins at the earliest offset where nothing was committed and there is no state', async () => {
    const cluster = await countingCluster()
    await appendRounds(cluster, 3)
    for (let partition = 0; partition < 4; partition += 1) {
      const place = { topic: 'words', partition }
      const end = await cluster.log.endOffset(place, 'read-committed')
      await cluster.log.deleteRecords(place, end - 1)
    }
    const process = cluster.start()
    await cluster.caughtUp()
    expect(process.worker.counters.recordsProcessed).toBe(4)
  })

  test('a store ahead of its changelog is rebuilt, with the reason (R6)', async () => {
    const cluster = await countingCluster()
    await ran(cluster, 3, 'i')
    // The changelog is made anew with less in it: another branch of history.
    const [description] = await cluster.log.describeTopics([CHANGELOG])
    await cluster.log.deleteTopics([CHANGELOG])
    if (description !== undefined) await cluster.log.createTopics([description])
    const process = cluster.start({ instanceId: 'i' })
    await cluster.until(() => process.state === 'running', 'running')
    expect(process.saw('store-rebuilt')).toBe(4)
    const reasons = process.happenings.flatMap((happening) =>
      happening.kind === 'store-rebuilt' ? [happening.reason] : [],
    )
    expect(reasons.every((reason) => reason.startsWith('recreated-changelog'))).toBe(true)
  })

  test('waits for a store that its last owner has not closed yet', async () => {
    const cluster = await countingCluster()
    const first = cluster.start({ instanceId: 'i' })
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await first.log.crash()
    const second = cluster.start({ instanceId: 'i' })
    await cluster.until(() => second.saw('recovering') > 3, 'tries')
    expect(second.tasks).toEqual([])
    await first.disk.letGo()
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 2)
  })
})

describe('at-least-once', () => {
  test('restores over records of another owner before it applies (R18, T11)', async () => {
    const cluster = await countingCluster()
    const process = cluster.start({ guarantee: 'at-least-once' })
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    expect(process.worker.counters.recoveries).toBe(0)
    await appendForeign(cluster)
    await appendRounds(cluster, 1)
    await cluster.until(() => process.worker.counters.recoveries > 0, 'a recovery')
    await appendRounds(cluster, 1)
    await cluster.caughtUp()
    await expectCounted(cluster, 3)
    // What the paused owner wrote is in the store as it is in every later restore of it.
    for (const { stores } of process.worker.tasks.running.values()) {
      const store = stores.get('word-counts')
      const partition = store?.changelog?.partition
      expect(store?.store.get(new TextEncoder().encode(`foreign-${partition}`))).toBeDefined()
    }
  })

  test('a crash between the appends and the offsets repeats them, and loses nothing', async () => {
    const cluster = await countingCluster()
    const process = cluster.start({ guarantee: 'at-least-once' })
    let refused = 0
    const writers = process.log.writer.bind(process.log)
    process.log.writer = async (options): Promise<LogWriter> => {
      const writer = await writers(options)
      const append = (asked: Parameters<LogWriter['append']>[0]): Promise<Appended> =>
        writer.append(asked)
      return {
        append,
        flush: () => writer.flush(),
        close: () => writer.close(),
        async commit(sealed) {
          refused += 1
          if (refused > 2) return writer.commit(sealed)
          return { outcome: 'aborted', error: new TypeError('the process paused here') }
        },
      }
    }
    await appendRounds(cluster, 2)
    await cluster.caughtUp()
    expect(refused).toBeGreaterThan(2)
    let outputs = 0
    for (let partition = 0; partition < 4; partition += 1) {
      outputs += await cluster.log.endOffset({ topic: 'counts', partition }, 'read-committed')
    }
    expect(outputs).toBeGreaterThan(20)
  })
})
