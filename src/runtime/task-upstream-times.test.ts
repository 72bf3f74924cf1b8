import { describe, expect, test } from 'bun:test'
import { long, StreamsBuilder, string, topic, tumbling, type Topology } from '#topology'
import { decodeJournal } from './journal.ts'
import type { TaskOptions } from './task-options.ts'
import type { Task } from './task.ts'
import { at, TaskRig, thrownBy } from './test-helper/task-rig.ts'
import { senderName, sendersTo } from './upstream-times.ts'

const orders = topic('orders', { key: string(), value: string() })
const totals = topic('totals', { key: string(), value: long() })
const minute = tumbling({ sizeMs: 60_000, graceMs: 5_000 })

/** Orders a minute, per item where they are, then one total for all, closed at the slowest upstream. */
function twoLevels(onTotal: (total: number) => number = (total) => total) {
  const builder = new StreamsBuilder('app')
  builder
    .stream(orders, { idle: { closeMs: 3_000 } })
    .groupByKey()
    .windowedBy(minute)
    .count('per-item', { emit: 'on-close' })
    .toStream()
    .map((count, { window }) => [`${window.startMs}`, count])
    .repartition('total', { partitions: 1, time: 'slowest-upstream' })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
    .reduce('all-items', (sum, count) => sum + count, { emit: 'on-close' })
    .toStream()
    .map((total, { key }) => [key, onTotal(total)])
    .to(totals)
  return builder.build()
}

const owned = { 'app-late': 1, 'app-dead-letters': 1, 'app-0-journal': 2, 'app-1-journal': 1 }
const partitions = {
  orders: 2,
  totals: 1,
  'app-total-repartition': 1,
  'app-per-item-changelog': 2,
  'app-all-items-changelog': 1,
  ...owned,
}

class TwoLevels {
  readonly rig: TaskRig
  readonly upstream: Task[] = []
  total!: Task

  constructor(topology: Topology = twoLevels(), options: Partial<TaskOptions> = {}) {
    this.rig = new TaskRig(topology, { partitions, options })
  }

  async open(): Promise<this> {
    for (const partition of [0, 1]) this.upstream.push(await this.rig.task(0, partition))
    this.total = await this.rig.task(1, 0)
    return this
  }

  order(partition: number, ...times: readonly number[]): void {
    this.rig.append('orders', partition, ...times.map((timestampMs) => at(timestampMs, 'x')))
  }

  /** Runs and commits everything, in the order of the tasks. */
  async settle(): Promise<void> {
    for (const task of [...this.upstream, this.total]) {
      this.rig.run(task)
      await this.rig.commit(task)
    }
  }

  async silence(forMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < forMs; passedMs += 1_000) {
      this.rig.elapsedMs += 1_000
      for (const task of [...this.upstream, this.total]) {
        this.rig.run(task)
        task.tick(this.rig.elapsedMs, this.rig.progressOf, () => true)
        await this.rig.commit(task)
      }
    }
  }

  async restart(): Promise<void> {
    for (const task of [...this.upstream.splice(0), this.total]) await task.close()
    await this.open()
  }

  get totals(): Readonly<Record<string, number>> {
    const written = this.rig.records('totals', 0)
    expect(new Set(written.map(({ key }) => key)).size).toBe(written.length)
    return Object.fromEntries(
      written.map(({ key, valueBytes }) => [key, long().decode(valueBytes ?? new Uint8Array())]),
    )
  }
}

describe('time crosses a repartition as data (R12)', () => {
  test('totals are exact when one partition runs windows ahead of the other', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 1_000, 61_000, 121_000, 181_000, 241_000)
    await run.settle()
    expect(run.totals).toEqual({})
    run.order(1, 2_000, 3_000, 62_000)
    await run.settle()
    expect(run.totals).toEqual({})
    run.order(1, 122_000, 184_000)
    await run.settle()
    expect(run.totals).toEqual({ '0': 3, '60000': 2 })
    run.order(1, 250_000, 320_000)
    run.order(0, 320_000)
    await run.settle()
    const all = { '0': 3, '60000': 2, '120000': 2, '180000': 2, '240000': 2 }
    expect(run.totals).toEqual(all)
    expect(run.rig.values('app-late')).toEqual([])
  })

  test('at every step a restart of all tasks changes no output byte', async () => {
    const steps: readonly (readonly [partition: number, time: number])[] = [
      [0, 1_000],
      [0, 130_000],
      [1, 2_000],
      [1, 67_000],
      [0, 200_000],
      [1, 140_000],
      [1, 200_000],
      [0, 270_000],
      [1, 270_000],
    ]
    const outcome = async (restarts: boolean): Promise<unknown> => {
      const run = await new TwoLevels().open()
      for (const [partition, time] of steps) {
        run.order(partition, time)
        await run.settle()
        await run.silence(4_000)
        if (restarts) await run.restart()
      }
      const { rig } = run
      return [rig.records('totals', 0), rig.records('app-total-repartition', 0)].map((records) =>
        records.map(({ key, valueBytes, timestampMs, headers }) => ({
          key,
          value: valueBytes && [...valueBytes],
          timestampMs,
          headers: headers.map(([name, value]) => [name, value && [...value]]),
        })),
      )
    }
    expect(await outcome(true)).toEqual(await outcome(false))
  })

  test('a partition that never had a record is idle, and does not hold the others', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 30_000)
    await run.settle()
    await run.silence(60_000)
    expect(run.totals).toEqual({ '0': 1 })
  })

  test('an upstream task that stopped without a word holds the total', async () => {
    const run = await new TwoLevels().open()
    run.upstream.pop()
    run.order(0, 30_000)
    await run.settle()
    await run.silence(3_600_000)
    expect(run.totals).toEqual({})
  })

  test('after everything stood still for 14 hours the last minute still comes', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 30_000)
    run.order(1, 31_000)
    await run.settle()
    run.rig.elapsedMs += 14 * 3_600_000
    await run.restart()
    await run.silence(60_000)
    expect(run.totals).toEqual({ '0': 2 })
  })

  test('who was idle and comes back is waited for again', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 30_000)
    await run.settle()
    await run.silence(60_000)
    expect(run.totals).toEqual({ '0': 1 })
    // Partition 1 speaks for the first time; from then on the total waits for it.
    run.order(1, 121_000)
    await run.settle()
    run.order(0, 122_000, 250_000)
    await run.settle()
    expect(run.totals).toEqual({ '0': 1 })
    run.order(1, 250_000)
    await run.settle()
    expect(run.totals).toEqual({ '0': 1, '120000': 2 })
  })

  test('who was idle and stops to read is waited for, whatever the others have to catch up with', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 30_000)
    run.order(1, 30_000)
    await run.settle()
    await run.silence(60_000)
    expect(run.totals).toEqual({ '0': 2 })
    for (const task of run.upstream) {
      task.returnFromIdle()
      await run.rig.commit(task)
    }
    await run.restart()
    run.order(0, 121_000, 181_000, 250_000)
    run.order(1, 122_000, 182_000, 250_000)
    const [first, second] = run.upstream
    for (const task of [first, run.total, second, run.total]) {
      if (task === second) expect(run.totals).toEqual({ '0': 2 })
      if (task === undefined) continue
      run.rig.run(task)
      await run.rig.commit(task)
    }
    expect(run.totals).toEqual({ '0': 2, '120000': 2, '180000': 2 })
  })

  test('who had been idle before a restart is waited for until it speaks, or is trusted', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 30_000)
    run.order(1, 30_000)
    await run.settle()
    await run.silence(60_000)
    expect(run.totals).toEqual({ '0': 2 })
    await run.restart()
    run.order(0, 121_000, 250_000)
    const [first] = run.upstream
    const { rig } = run
    const isTrusted = { now: false }
    for (const task of [first, run.total]) {
      if (task === undefined) continue
      rig.run(task)
      task.tick(
        rig.elapsedMs,
        rig.progressOf,
        () => true,
        () => isTrusted.now,
      )
      await rig.commit(task)
    }
    expect(run.totals).toEqual({ '0': 2 })
    isTrusted.now = true
    expect(
      run.total.tick(
        rig.elapsedMs,
        rig.progressOf,
        () => true,
        () => isTrusted.now,
      ),
    ).toBe(true)
    await rig.commit(run.total)
    expect(run.totals).toEqual({ '0': 2, '120000': 1 })
    const entries = rig
      .records('app-1-journal', 0)
      .flatMap(({ valueBytes }) => decodeJournal(valueBytes ?? new Uint8Array(), '1_0').entries)
    expect(entries.map(({ kind }) => kind)).toEqual(['doubt', 'trust'])
  })

  test('what a failed close had announced is taken back, and a restart runs nothing (R15)', async () => {
    const faults = { left: 2, calls: 0 }
    const topology = twoLevels((total) => {
      faults.calls += 1
      if (faults.left === 0) return total
      faults.left -= 1
      throw new RangeError('a fault')
    })
    const run = await new TwoLevels(topology, { onProcessingError: 'stop' }).open()
    run.order(0, 1_000, 150_000)
    run.order(1, 2_000, 150_000)
    for (const task of run.upstream) {
      run.rig.run(task)
      await run.rig.commit(task)
    }
    for (const calls of [1, 2]) {
      expect(thrownBy(() => run.rig.run(run.total))).toMatchObject({ code: 'PROCESSING_FAILED' })
      await run.rig.commit(run.total)
      await run.restart()
      expect(faults.calls).toBe(calls)
      expect(run.totals).toEqual({})
    }
    await run.settle()
    expect(run.totals).toEqual({ '0': 2 })
  })

  test('time records are not journaled, counted or shown to a processor', async () => {
    const run = await new TwoLevels().open()
    run.order(0, 1_000, 300_000)
    run.order(1, 1_000, 300_000)
    await run.settle()
    const records = run.rig.records('app-total-repartition', 0)
    expect(records.filter(({ key }) => key === null).length).toBeGreaterThan(1)
    expect(run.total.droppedRecords).toBe(0)
    expect(run.rig.records('app-1-journal', 0)).toEqual([])
  })
})

test('times are expected from every upstream task and sending node', () => {
  const topology = twoLevels()
  const source = topology.subTopologies[1]?.sources[0]
  if (source === undefined) throw new RangeError('a total')
  const senders = sendersTo(topology, source, new Map(Object.entries(partitions)))
  const node = topology.nodes.find((each) => each.kind === 'window-aggregate')
  expect(senders).toEqual(
    [0, 1].map((partition) => senderName({ subTopology: 0, partition, node: node?.name ?? '' })),
  )
})
