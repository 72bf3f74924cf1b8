import { expect, test } from 'bun:test'
import { delay } from '#system'
import { VirtualClock } from './virtual-clock.ts'

test('time moves only when it is told to, both clocks together', () => {
  const clock = new VirtualClock(1_000)
  expect([clock.nowMs(), clock.elapsedMs()]).toEqual([1_000, 0])
  clock.advance(5)
  expect([clock.nowMs(), clock.elapsedMs()]).toEqual([1_005, 5])
})

test('timers fire in the order of their times, then of being set, each at its own time', () => {
  const clock = new VirtualClock()
  const fired: string[] = []
  const fires = (name: string) => () => fired.push(`${name}@${clock.elapsedMs()}`)
  clock.after(20, fires('c'))
  clock.after(10, fires('a'))
  clock.after(10, fires('b'))
  const cancel = clock.after(15, fires('cancelled'))
  clock.after(10, () => clock.after(2, fires('nested')))
  clock.after(31, fires('later'))
  expect(clock.nextTimerMs).toBe(10)
  cancel()
  cancel()
  clock.advance(30)
  expect(fired).toEqual(['a@10', 'b@10', 'nested@12', 'c@20'])
  expect(clock.elapsedMs()).toBe(30)
  expect(clock.nextTimerMs).toBe(31)
})

test('whoever waits for it goes on when it has come', async () => {
  const clock = new VirtualClock()
  let isDone = false
  const waiting = delay(clock, 100).then(() => {
    isDone = true
  })
  clock.advance(99)
  await clock.turn()
  expect(isDone).toBe(false)
  clock.advance(1)
  await waiting
  expect(isDone).toBe(true)
})
