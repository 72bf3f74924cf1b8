import { describe, expect, test } from 'bun:test'

import { REBALANCE_MS, SESSION_MS, TestGroup } from './test-helpers/test-group.ts'

describe('a static member', () => {
  /** `a` (m1) and `b` (m2), stable in generation 2; `a` leads. */
  function pair(): TestGroup {
    const group = new TestGroup()
    group.enter('', { instanceId: 'a' })
    group.sync('m1', { m1: [0, 1] }, 'a')
    group.enter('', { instanceId: 'b' })
    group.enter('m1', { instanceId: 'a' })
    group.sync('m1', { m1: [0], m2: [1] }, 'a')
    expect(group.sync('m2', undefined, 'b')).toBe('1')
    return group
  }

  test('that restarts takes its place back: same generation, same partitions, new id', () => {
    const group = pair()
    expect(group.enter('', { instanceId: 'b', userData: new Uint8Array([9]) })).toBe('m3')
    expect(group.outcome('m3')).toBe('2')
    expect(group.sync('m3', undefined, 'b')).toBe('1')
    expect(group.heartbeat('m1', 2, 'a')).toBe('ok')
    expect(group.commit('m2', 2, 'b')).toBe('fenced-instance')
    expect(group.commit('m3', 2, 'b')).toBe('ok')
    expect(group.enter('m2', { instanceId: 'b' })).toBe('fenced-instance')
  })

  test('that led and restarts leads on, without assigning again', () => {
    const group = pair()
    group.enter('', { instanceId: 'a' })
    expect(group.outcome('m3')).toBe('2')
    expect(group.sync('m3', undefined, 'a')).toBe('0')
    // Under the new id it may ask for a rebalance, as any leader.
    group.enter('m3', { instanceId: 'a' })
    group.enter('m2', { instanceId: 'b' })
    expect(group.outcome('m3')).toBe('3 leads')
  })

  test('that comes back to other topics starts a rebalance', () => {
    const group = pair()
    group.enter('', { instanceId: 'b', topics: ['orders', 'stock'] })
    expect(group.heartbeat('m1', 2, 'a')).toBe('rebalancing')
  })

  test('that is away keeps its place through a rebalance, until its session ends', () => {
    const group = pair()
    const away = 3 * SESSION_MS
    group.enter('', { instanceId: 'b', sessionTimeoutMs: away })
    group.enter('m1', { instanceId: 'a', rebalanceTimeoutMs: SESSION_MS })
    group.enter('', { rebalanceTimeoutMs: SESSION_MS })
    group.pass(REBALANCE_MS - 1)
    expect(group.outcome('m1')).toBe('waits')
    // The barrier waits as long as the slowest of those it was begun with may take; here the session ends first.
    group.pass(1)
    expect(group.outcome('m1')).toBe('3 leads')
    expect(group.state.members.map(({ memberId }) => memberId)).toEqual(['m1', 'm4'])
  })

  test('left behind by a rebalance still has the place that was given to it', () => {
    const group = pair()
    group.enter('m2', { instanceId: 'b', rebalanceTimeoutMs: 100, sessionTimeoutMs: 10_000 })
    group.enter('m1', { instanceId: 'a', rebalanceTimeoutMs: 100 })
    expect(group.state.phase).toBe('joining')
    group.enter('m2', { instanceId: 'b', rebalanceTimeoutMs: 100, sessionTimeoutMs: 10_000 })
    expect(group.sync('m1', { m1: [0], m2: [1] }, 'a')).toBe('0')
    const { generation } = group.state
    group.enter('m1', { instanceId: 'a', rebalanceTimeoutMs: 100 })
    group.pass(100)
    expect(group.sync('m1', { m1: [0], m2: [1] }, 'a')).toBe('0')
    expect(group.state.generation).toBe(generation + 1)
    expect(group.heartbeat('m2', generation, 'b')).toBe('stale-generation')
    expect(group.commit('m2', generation, 'b')).toBe('stale-generation')
    expect(group.enter('m2', { instanceId: 'b', rebalanceTimeoutMs: 100 })).toBe('m2')
    expect(group.outcome('m2')).toBe(`${generation + 1}`)
    expect(group.sync('m2', undefined, 'b')).toBe('1')
  })

  test('replaced while it waits at the barrier is told, and does not come again', () => {
    const group = pair()
    group.enter('m1', { instanceId: 'a' })
    expect(group.outcome('m1', 'a')).toBe('waits')
    group.enter('', { instanceId: 'a' })
    expect(group.outcome('m1', 'a')).toBe('fenced-instance')
    expect(group.outcome('m3', 'a')).toBe('waits')
  })

  test('that leaves gives its place up', () => {
    const group = pair()
    expect(group.leave('m2', 'b')).toBe('ok')
    expect(group.heartbeat('m1', 2, 'a')).toBe('rebalancing')
  })
})
