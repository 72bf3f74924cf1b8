import { expect, test } from 'bun:test'
import { Scheduler } from './scheduler.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimulatedProcess } from './simulated-process.ts'

function drain(scheduler: Scheduler): void {
  while (scheduler.step());
}

test('what is due first happens first, of one time what was queued first, and all that follows before the next', () => {
  const scheduler = new Scheduler()
  const seen: string[] = []
  scheduler.after(5, undefined, 'b', () => seen.push('b'))
  scheduler.after(5, undefined, 'c', () => seen.push('c'))
  scheduler.after(1, undefined, 'a', () => {
    seen.push('a')
    void Promise.resolve().then(() => Promise.resolve().then(() => seen.push('after a')))
  })
  const cancel = scheduler.after(2, undefined, 'never', () => seen.push('never'))
  cancel()
  drain(scheduler)
  expect(seen).toEqual(['a', 'after a', 'b', 'c'])
  expect([scheduler.nowMs, scheduler.steps]).toEqual([5, 3])
})

test('what was begun from outside comes to its first wait before the queue is looked at', async () => {
  const scheduler = new Scheduler()
  const cancel = scheduler.after(1, undefined, 'cancelled', () => {})
  cancel()
  let isDone = false
  const begin = async (): Promise<void> => {
    await Promise.resolve()
    await new Promise<void>((resolve) => scheduler.after(1, undefined, 'awaited', resolve))
    isDone = true
  }
  const begun = begin()
  drain(scheduler)
  expect(isDone).toBe(true)
  await begun
})

test('a paused process gets what was due afterwards, in order, but for what was cancelled meanwhile', () => {
  const scheduler = new Scheduler()
  const process = new SimulatedProcess('p', scheduler, new SeededRandom(1), 1_000)
  const seen: string[] = []
  for (const name of ['a', 'b', 'c', 'd']) {
    const cancel = process.after(name === 'd' ? 100 : 1, name, () =>
      seen.push(`${name}@${Math.floor(scheduler.nowMs)}`),
    )
    if (name === 'b') scheduler.after(20, undefined, 'cancel', cancel)
  }
  process.pause(50)
  drain(scheduler)
  expect(seen.map((one) => one.split('@')[1])).toEqual(['50', '50', '100'])
  expect(seen.map((one) => one[0]).sort()).toEqual(['a', 'c', 'd'])
})

test('a process that is gone gets nothing any more', () => {
  const scheduler = new Scheduler()
  const process = new SimulatedProcess('p', scheduler, new SeededRandom(1), 1_000)
  const seen: string[] = []
  process.after(5, 'late', () => seen.push('late'))
  scheduler.after(1, undefined, 'crash', () => process.crash())
  drain(scheduler)
  expect(seen).toEqual([])
})

test('the trace hash tells two runs apart by what, when and whose', async () => {
  const hashOf = async (...steps: readonly (readonly [number, string])[]): Promise<string> => {
    const scheduler = new Scheduler()
    for (const [atMs, label] of steps) scheduler.after(atMs, undefined, label, () => {})
    drain(scheduler)
    return scheduler.traceHash
  }
  const first = await hashOf([1, 'a'], [2, 'b'])
  expect(await hashOf([1, 'a'], [2, 'b'])).toBe(first)
  expect(await hashOf([1, 'a'], [2.001, 'b'])).not.toBe(first)
  expect(await hashOf([1, 'b'], [2, 'a'])).not.toBe(first)
})
