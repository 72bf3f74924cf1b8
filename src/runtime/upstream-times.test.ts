import { describe, expect, test } from 'bun:test'
import { UpstreamTimes } from './upstream-times.ts'

describe('upstream times', () => {
  const two = ['0_0/n', '0_1/n']
  const from = (partition: number, timeMs: number, idle = false) => ({
    subTopology: 0,
    partition,
    node: 'n',
    timeMs,
    idle,
  })

  test('the time is the least of all that are not idle, and never goes back', () => {
    const times = new UpstreamTimes('source', two)
    expect(times.announce(from(0, 100))).toBe(false)
    expect(times.timeMs).toBe(-1)
    expect(times.announce(from(1, 50))).toBe(true)
    expect(times.timeMs).toBe(50)
    expect(times.announce(from(1, 300, true))).toBe(true)
    expect(times.timeMs).toBe(100)
    expect(times.allIdle).toBe(false)
    // Back again, behind the others: what has passed has passed.
    expect(times.announce(from(1, 300))).toBe(false)
    expect(times.timeMs).toBe(100)
  })

  test('where all are idle it is the greatest that any announced, and ticks go on from there', () => {
    const times = new UpstreamTimes('source', two)
    times.announce(from(0, 100, true))
    times.announce(from(1, -1, true))
    expect(times.allIdle).toBe(true)
    expect(times.timeMs).toBe(100)
    times.advance(150)
    expect(times.timeMs).toBe(150)
  })

  test('saved and restored, whatever was announced', () => {
    const times = new UpstreamTimes('source', two)
    times.announce(from(0, 0, true))
    times.announce(from(1, -1, true))
    times.advance(7)
    const saved = new Map(times.saved())
    const again = new UpstreamTimes('source', two)
    again.restore((name) => saved.get(name))
    expect([...again.saved()]).toEqual([...times.saved()])
    expect(again.allIdle).toBe(true)
    expect(again.timeMs).toBe(7)
  })

  test('rolled back to the savepoint, whatever was announced since', () => {
    const times = new UpstreamTimes('source', two)
    times.announce(from(0, 100))
    times.announce(from(1, 50))
    const before = [...times.saved()]
    times.savepoint()
    times.announce(from(1, 70))
    times.announce(from(1, 80, true))
    times.advance(500)
    expect([...times.saved()]).not.toEqual(before)
    times.rollback()
    expect([...times.saved()]).toEqual(before)
    expect(times.timeMs).toBe(50)
  })

  test('who is idle in doubt is not left out until it speaks or is trusted, which can be taken back', () => {
    const times = new UpstreamTimes('source', two)
    times.announce(from(0, 10, true))
    times.announce(from(1, 50))
    expect(times.timeMs).toBe(50)
    expect(times.doubt()).toBe(true)
    times.announce(from(1, 300))
    expect(times.timeMs).toBe(50)
    times.savepoint()
    expect(times.trust()).toBe(true)
    expect(times.timeMs).toBe(300)
    times.rollback()
    expect([times.timeMs, times.isDoubting]).toEqual([50, true])
    times.announce(from(0, 70))
    expect([times.timeMs, times.isDoubting]).toEqual([70, false])
    expect(times.doubt()).toBe(false)
  })

  test('senders that the topology does not have are passed over', () => {
    const times = new UpstreamTimes('source', ['0_0/n'])
    times.announce(from(0, 5))
    expect(times.announce(from(9, 1))).toBe(false)
    expect(times.timeMs).toBe(5)
  })
})
