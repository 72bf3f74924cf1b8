import { describe, expect, test } from 'bun:test'
import { StreamsBuilder, string, topic, tumbling } from '#topology'
import type { Task } from './task.ts'
import { at, journalOf, TaskRig } from './test-helper/task-rig.ts'

const orders = topic('orders', { key: string(), value: string() })
const refunds = topic('refunds', { key: string(), value: string() })
const closed = topic('closed', { key: string(), value: string() })

/** Counts in minutes, with five seconds of grace; two inputs, silent for three seconds before anything is taken for quiet. */
function counting(after?: string) {
  const builder = new StreamsBuilder('app')
  const idle = { closeMs: 3_000, ...(after !== undefined && { after }) }
  builder
    .stream([orders, refunds], { idle })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 5_000 }))
    .count('per-minute', { emit: 'on-close' })
    .toStream()
    .map((count, { key, window }) => [key, `${window.startMs}:${count}`])
    .to(closed)
  return builder.build()
}

const partitions = {
  orders: 1,
  refunds: 1,
  closed: 1,
  'app-per-minute-changelog': 1,
  'app-0-journal': 1,
  'app-late': 1,
  'app-dead-letters': 1,
}

async function withOneOrder(after?: string): Promise<{ rig: TaskRig; task: Task }> {
  const rig = new TaskRig(counting(after), { partitions })
  const task = await rig.task(0, 0)
  rig.append('orders', 0, at(30_000, 'x'))
  rig.run(task)
  await rig.commit(task)
  return { rig, task }
}

const ticksOf = (rig: TaskRig): readonly number[] =>
  journalOf(rig).flatMap(({ entries }) =>
    entries.flatMap((entry) => (entry.kind === 'tick' ? [entry.timeMs] : [])),
  )

describe('ticks (R9)', () => {
  test('stream time goes on by the silence, as soon as a window waits for it and no sooner', async () => {
    const { rig, task } = await withOneOrder()
    // The window ends at 60 s and closes 5 s later: that is 35 s of silence from 30 s on.
    expect(rig.silence(task, 34_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
    expect(task.streamTimeMs).toBe(65_000)
    await rig.commit(task)
    expect(rig.values('closed')).toEqual(['0:1'])
    expect(ticksOf(rig)).toEqual([65_000])
    // Nothing waits any more: silence fills no journal.
    expect(rig.silence(task, 600_000)).toBe(false)
    expect(task.nextTickElapsedMs).toBe(Infinity)
    expect(task.isDirty).toBe(false)
  })

  test('not before the policy’s closeMs, even if less would do', async () => {
    const { rig, task } = await withOneOrder()
    rig.append('orders', 0, at(64_000, 'y'))
    rig.run(task)
    expect(rig.silence(task, 2_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
    expect(task.streamTimeMs).toBe(67_000)
  })

  test('a record in any input ends the silence', async () => {
    const { rig, task } = await withOneOrder()
    rig.silence(task, 30_000)
    rig.append('refunds', 0, at(30_001, 'y'))
    rig.silence(task, 1_000)
    expect(rig.silence(task, 34_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
    expect(task.streamTimeMs).toBe(65_001)
  })

  test('none below the high watermark: an open transaction upstream is not silence', async () => {
    const { rig, task } = await withOneOrder()
    rig.highWatermarks.set('refunds-0', 1)
    expect(rig.silence(task, 3_600_000)).toBe(false)
    rig.highWatermarks.clear()
    expect(rig.silence(task, 34_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
  })

  test('none while a log cannot be reached, and that time does not count', async () => {
    const { rig, task } = await withOneOrder()
    rig.silence(task, 20_000)
    rig.unreachable.add('refunds-0')
    expect(rig.silence(task, 3_600_000)).toBe(false)
    rig.unreachable.clear()
    // Of the hour between two fetches no more than 5 s count: 10 s are still missing.
    expect(rig.silence(task, 10_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
  })

  test('none until the application that a policy waits for agrees', async () => {
    const { rig, task } = await withOneOrder('campus-inventory')
    const asked: string[] = []
    const refuse = (applicationId: string): boolean => asked.push(applicationId) < 0
    expect(rig.silence(task, 60_000, refuse)).toBe(false)
    expect(new Set(asked)).toEqual(new Set(['campus-inventory']))
    expect(task.nextTickElapsedMs).toBeLessThanOrEqual(rig.elapsedMs + 250)
    expect(rig.silence(task, 1_000)).toBe(true)
  })

  test('none before the first record, and a restart begins a new silence from the saved stream time', async () => {
    const rig = new TaskRig(counting(), { partitions })
    let task = await rig.task(0, 0)
    expect(rig.silence(task, 3_600_000)).toBe(false)
    rig.append('orders', 0, at(30_000, 'x'))
    rig.run(task)
    rig.silence(task, 30_000)
    await rig.commit(task)
    await task.close()
    rig.elapsedMs += 14 * 3_600_000
    task = await rig.task(0, 0)
    expect(task.streamTimeMs).toBe(30_000)
    // A first fetch begins it.
    rig.silence(task, 1_000)
    expect(rig.silence(task, 34_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
    await rig.commit(task)
    expect(rig.values('closed')).toEqual(['0:1'])
  })

  test('a worker that asks when it is told to misses nothing', async () => {
    const { rig, task } = await withOneOrder()
    rig.silence(task, 1)
    let looks = 0
    for (let did = false; !did; looks++) {
      expect(task.nextTickElapsedMs).toBeGreaterThan(rig.elapsedMs)
      expect(task.nextTickElapsedMs).toBeLessThan(rig.elapsedMs + 2_000)
      rig.elapsedMs = task.nextTickElapsedMs
      rig.fetch(task)
      did = task.tick(rig.elapsedMs, rig.progressOf, () => true)
    }
    expect(task.streamTimeMs).toBe(65_000)
    expect(looks).toBeLessThan(50)
  })

  test('what a tick makes late stays late after a restart, and is told with its window', async () => {
    const { rig, task } = await withOneOrder()
    rig.silence(task, 35_000)
    await rig.commit(task)
    await task.close()
    const again = await rig.task(0, 0)
    rig.append('refunds', 0, at(50_000, 'late', 'k2'), at(61_000, 'in time'))
    rig.run(again)
    await rig.commit(again)
    const [late, ...others] = rig.records('app-late', 0)
    expect(others).toEqual([])
    // Stamped with the stream time that refused it; its own time is in the value.
    expect(late).toMatchObject({ key: 'k2', timestampMs: 65_000 })
    expect(JSON.parse(late?.value ?? '')).toMatchObject({
      store: 'per-minute',
      window_start: 0,
      window_end: 60_000,
      timestamp: 50_000,
      value: 'late',
    })
  })
})
