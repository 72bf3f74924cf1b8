import { describe, expect, test } from 'bun:test'
import { StreamsBuilder, string, topic, tumbling } from '#topology'
import type { Task } from './task.ts'
import { at, journalOf, TaskRig } from './test-helper/task-rig.ts'

const orders = topic('orders', { key: string(), value: string() })
const refunds = topic('refunds', { key: string(), value: string() })
const closed = topic('closed', { key: string(), value: string() })
const HOUR_MS = 3_600_000

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

  test('none before the first record', async () => {
    const rig = new TaskRig(counting(), { partitions })
    const task = await rig.task(0, 0)
    expect(rig.silence(task, 3_600_000)).toBe(false)
    rig.append('orders', 0, at(30_000, 'x'))
    rig.silence(task, 1_000)
    expect(rig.silence(task, 34_000)).toBe(false)
    expect(rig.silence(task, 1_000)).toBe(true)
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

  describe('after a restart silence counts from the last record on, as the log has nothing newer', () => {
    async function stopped(rig: TaskRig, task: Task, forMs: number): Promise<Task> {
      await task.close()
      rig.elapsedMs += forMs
      rig.nowMs += forMs
      return rig.task(0, 0)
    }

    test('once the inputs have been silent for closeMs again, and no further than a window waits for it', async () => {
      const { rig, task } = await withOneOrder()
      const again = await stopped(rig, task, 14 * HOUR_MS)
      expect(again.streamTimeMs).toBe(30_000)
      // The first fetch begins it.
      expect(rig.silence(again, 3_000)).toBe(false)
      expect(rig.silence(again, 1_000)).toBe(true)
      expect(again.streamTimeMs).toBe(65_000)
      await rig.commit(again)
      expect(rig.values('closed')).toEqual(['0:1'])
      expect(ticksOf(rig)).toEqual([65_000])
      expect(rig.silence(again, 60_000)).toBe(false)
    })

    test('however often it stops, and with what was silent between the stops', async () => {
      const { rig, task } = await withOneOrder()
      let last = task
      for (let stops = 0; stops < 3; stops += 1) {
        rig.silence(last, 2_000)
        last = await stopped(rig, last, 8_000)
      }
      // 30 s of the 35 are over.
      expect(rig.silence(last, 4_000)).toBe(false)
      expect(rig.silence(last, 1_000)).toBe(true)
      expect(last.streamTimeMs).toBe(65_000)
    })

    test('but not twice, when a tick has counted it already', async () => {
      const { rig, task } = await withOneOrder()
      rig.silence(task, 35_000)
      await rig.commit(task)
      rig.append('orders', 0, at(65_001, 'y'))
      rig.silence(task, 1_000)
      await rig.commit(task)
      const again = await stopped(rig, task, 10_000)
      expect(rig.silence(again, 48_000)).toBe(false)
      expect(rig.silence(again, 2_000)).toBe(true)
      expect(Math.floor(again.streamTimeMs / 1_000)).toBe(125)
      await rig.commit(again)
      const last = await stopped(rig, again, 1_000)
      expect(rig.silence(last, HOUR_MS)).toBe(false)
    })

    test('not when a record has come in between, in whichever input', async () => {
      const { rig, task } = await withOneOrder()
      rig.append('refunds', 0, at(31_000, 'y', 'k2'))
      const again = await stopped(rig, task, 14 * HOUR_MS)
      rig.silence(again, 1_000)
      expect(rig.silence(again, 33_000)).toBe(false)
      expect(rig.silence(again, 1_000)).toBe(true)
      expect(again.streamTimeMs).toBe(65_000)
    })

    test('not below the high watermark, but once it is reached', async () => {
      const { rig, task } = await withOneOrder()
      const again = await stopped(rig, task, 14 * HOUR_MS)
      rig.highWatermarks.set('refunds-0', 1)
      expect(rig.silence(again, 60_000)).toBe(false)
      rig.highWatermarks.clear()
      expect(rig.silence(again, 2_000)).toBe(false)
      expect(rig.silence(again, 2_000)).toBe(true)
    })

    test('not until the application that a policy waits for agrees', async () => {
      const { rig, task } = await withOneOrder('campus-inventory')
      const again = await stopped(rig, task, 14 * HOUR_MS)
      expect(rig.silence(again, 3_600_000, () => false)).toBe(false)
      expect(rig.silence(again, 1_000)).toBe(true)
    })

    test('none of it when the wall clock has been set back', async () => {
      const { rig, task } = await withOneOrder()
      const again = await stopped(rig, task, 0)
      rig.nowMs -= HOUR_MS
      rig.silence(again, 1_000)
      expect(rig.silence(again, 34_000)).toBe(false)
      expect(rig.silence(again, 1_000)).toBe(true)
    })
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
