import { describe, expect, test } from 'bun:test'
import { long, string, StreamsBuilder, topic, type StoreSpec, type Topology } from '#topology'
import { TaskError } from './task-error.ts'
import { at, owned, TaskRig, thrownBy } from './test-helper/task-rig.ts'
import {
  process,
  source,
  tableStore,
  topologyOf,
  type AnyProcessor,
} from './test-helper/topologies.ts'
import { gate } from './test-helpers/faulty-log.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })

/** Sums of numbers by key: `long` refuses a half. */
function summing(): Topology {
  const builder = new StreamsBuilder('summing')
  builder
    .stream(words)
    .groupByKey()
    .aggregate(
      'sum',
      () => 0,
      (sum, value) => sum + Number(value),
      { value: long() },
    )
    .toStream()
    .mapValues((sum) => String(sum))
    .to(topic('sums', { key: string(), value: string() }))
  return builder.build()
}

/** Everything said so far by key, which grows beyond what its changelog takes. */
function joining(): Topology {
  const builder = new StreamsBuilder('joining')
  builder
    .stream(words)
    .groupByKey()
    .aggregate(
      'all',
      () => '',
      (all, value) => `${all}${value === 'long' ? value.repeat(500) : value}`,
      { value: string() },
    )
  return builder.build()
}

/** Puts a half into a store of whole numbers, every second of the clock. */
function halving(): AnyProcessor {
  return {
    init(context) {
      const store = context.store('sum') as { put(key: unknown, value: number): void }
      context.schedule(1_000, 'wall-clock', () => store.put('k', 0.5))
    },
    process() {},
  }
}

const halves: Topology = topologyOf([
  {
    nodes: [source('words'), process('halve', ['words'], halving, ['sum'])],
    stores: [{ ...tableStore('sum'), value: long() } as StoreSpec],
  },
])

const topics = ['words', 'sums'].map((name) => ({ topic: name, partitions: 1, config: {} }))

describe('what a store’s serde refuses at the seal', () => {
  test('is found again record by record: only that record is a dead letter (R5, R15)', async () => {
    const cluster = await TestCluster.of(summing(), topics)
    const member = cluster.start()
    const nowMs = cluster.clock.nowMs()
    await cluster.until(() => member.state === 'running', 'running')
    await appendTexts(cluster.log, 'words', [
      ['a', '1', nowMs],
      ['b', '0.5', nowMs],
      ['a', '2', nowMs],
      ['b', '4', nowMs],
      ['a', '0.25', nowMs],
      ['a', '3', nowMs],
    ])
    await cluster.caughtUp()
    expect(member.error).toBeUndefined()
    expect(member.worker.counters.recoveries).toBe(1)
    expect(member.saw('dead-letter')).toBe(2)
    const letters = await readTexts(cluster.log, 'summing-dead-letters', string())
    expect(letters).toEqual([
      ['b', '0.5'],
      ['a', '0.25'],
    ])
    expect(await readTexts(cluster.log, 'sums', string())).toEqual([
      ['a', '1'],
      ['a', '3'],
      ['b', '4'],
      ['a', '6'],
    ])

    // Past where it failed it is careless again, until the next such record.
    await appendTexts(cluster.log, 'words', [['a', '5', nowMs]])
    await cluster.caughtUp()
    const [running] = member.worker.tasks.running.values()
    expect(running?.task.isCareful).toBe(false)
    await appendTexts(cluster.log, 'words', [
      ['a', '0.125', nowMs],
      ['a', '6', nowMs],
    ])
    await cluster.caughtUp()
    expect(member.worker.counters.recoveries).toBe(2)
    expect((await readTexts(cluster.log, 'sums', string())).at(-1)).toEqual(['a', '17'])
    expect(member.saw('dead-letter')).toBe(3)
  })

  test('names store and key in the dead letter', async () => {
    const cluster = await TestCluster.of(summing(), topics)
    const member = cluster.start()
    await appendTexts(cluster.log, 'words', [['a', '0.5', cluster.clock.nowMs()]])
    await cluster.caughtUp()
    expect(member.happenings.find(({ kind }) => kind === 'dead-letter')).toMatchObject({
      topic: 'words',
      partition: 0,
      offset: 0,
      error: expect.stringContaining('store sum: the value of key "a" cannot be encoded'),
    })
  })

  test('is found also where the layer was to be committed for a revoke', async () => {
    const cluster = await TestCluster.of(summing(), topics)
    const member = cluster.start()
    const nowMs = cluster.clock.nowMs()
    await cluster.until(() => member.state === 'running', 'running')
    const reply = gate()
    let commits = 0
    member.log.beforeCommit = () => {
      commits += 1
      return commits === 1 ? reply.opened : Promise.resolve()
    }
    await appendTexts(cluster.log, 'words', [['a', '1', nowMs]])
    await cluster.until(() => commits === 1, 'a commit in flight')
    await appendTexts(cluster.log, 'words', [['a', '0.5', nowMs]])
    await cluster.until(() => member.worker.counters.recordsProcessed === 2, 'both processed')
    const other = cluster.start()
    await cluster.until(() => member.state === 'rebalancing', 'a revoke')
    reply.open()
    await cluster.caughtUp()
    expect(commits).toBe(1)
    expect([member.error, other.error]).toEqual([undefined, undefined])
    expect(await readTexts(cluster.log, 'summing-dead-letters', string())).toEqual([['a', '0.5']])
    expect(await readTexts(cluster.log, 'sums', string())).toEqual([['a', '1']])
  })

  test('and no record has put stops the task, naming the store', async () => {
    const cluster = await TestCluster.of(halves, [
      ...topics,
      { topic: 'app-sum-changelog', partitions: 1, config: {} },
    ])
    const member = cluster.start()
    await cluster.until(() => member.error !== undefined, 'an end')
    expect(member.error).toBeInstanceOf(TaskError)
    expect(member.error).toMatchObject({
      taskId: '0_0',
      message: expect.stringContaining('store sum'),
    })
    expect(member.worker.counters.recoveries).toBeLessThan(2)
  })
})

describe('a value that is too large for its changelog', () => {
  test('makes the record that put it a dead letter', async () => {
    const cluster = await TestCluster.of(joining(), [
      ...topics,
      { topic: 'joining-all-changelog', partitions: 1, config: { 'max.message.bytes': '1500' } },
    ])
    const member = cluster.start()
    const nowMs = cluster.clock.nowMs()
    await appendTexts(cluster.log, 'words', [
      ['k', 'a', nowMs],
      ['k', 'long', nowMs],
      ['k', 'b', nowMs],
    ])
    await cluster.caughtUp()
    expect(member.error).toBeUndefined()
    expect(await readTexts(cluster.log, 'joining-dead-letters', string())).toEqual([['k', 'long']])
    const changelog = await readTexts(cluster.log, 'joining-all-changelog', string())
    expect(changelog.at(-1)).toEqual(['k', 'ab'])
  })
})

describe('a careful task', () => {
  const partitions = { words: 1, sums: 1, 'summing-sum-changelog': 1 }
  const internal = Object.fromEntries(
    Object.entries(owned).map(([name, count]) => [name.replace('app-', 'summing-'), count]),
  )

  test('stops at the record, if that is the policy', async () => {
    const rig = new TaskRig(summing(), {
      partitions: { ...partitions, ...internal },
      options: { onProcessingError: 'stop' },
      careful: 'always',
    })
    const task = await rig.task(0, 0)
    rig.append('words', 0, at(1, '1'), at(2, '0.5'))
    expect(thrownBy(() => rig.run(task))).toMatchObject({
      code: 'PROCESSING_FAILED',
      at: { topic: 'words', partition: 0, offset: 1 },
    })
    await rig.commit(task)
    expect(rig.values('sums')).toEqual(['1'])
  })

  test('is so until what was before its positions is sealed', async () => {
    const rig = new TaskRig(summing(), {
      partitions: { ...partitions, ...internal },
      careful: new Map([['words-0', 2]]),
    })
    const task = await rig.task(0, 0)
    rig.append('words', 0, at(1, '1'))
    rig.run(task)
    await rig.commit(task)
    expect(task.isCareful).toBe(true)
    rig.append('words', 0, at(2, '2'))
    rig.run(task)
    await rig.commit(task)
    expect(task.isCareful).toBe(false)
  })
})
