import { describe, expect, test } from 'bun:test'

import { admitCommit, advance, describeGroup, EMPTY_GROUP, nextDeadlineMs } from './membership.ts'
import { answerText, held, REBALANCE_MS, SESSION_MS, TestGroup } from './test-helpers/test-group.ts'

describe('the barrier', () => {
  test('lets the first member through at once, and it leads', () => {
    const group = new TestGroup()
    expect(group.enter('')).toBe('m1')
    expect(group.outcome('m1')).toBe('1 leads')
    expect(group.sync('m1', { m1: [0, 1] })).toBe('0,1')
    expect(group.heartbeat('m1', 1)).toBe('ok')
    expect(group.state.phase).toBe('stable')
  })

  test('waits for everybody who is there, who are told to come back', () => {
    const group = new TestGroup()
    group.enter('')
    group.sync('m1', { m1: [0] })
    expect(group.enter('')).toBe('m2')
    expect(group.outcome('m2')).toBe('waits')
    expect(group.heartbeat('m1', 1)).toBe('rebalancing')
    // Under the old generation work may still be finished.
    expect(group.commit('m1', 1)).toBe('ok')
    group.enter('m1')
    expect([group.outcome('m1'), group.outcome('m2')]).toEqual(['2 leads', '2'])
    expect(group.commit('m1', 1)).toBe('stale-generation')
  })

  test('goes on without who is not back in time, and tells it', () => {
    const group = TestGroup.pair()
    group.enter('')
    group.enter('m1')
    for (let ms = 0; ms < REBALANCE_MS - 500; ms += 500) {
      group.pass(500)
      expect(group.heartbeat('m2', 2)).toBe('rebalancing')
    }
    expect(group.outcome('m1')).toBe('waits')
    group.pass(500)
    expect(group.outcome('m1')).toBe('3 leads')
    expect(group.heartbeat('m2', 2)).toBe('unknown-member')
    expect(group.commit('m2', 2)).toBe('unknown-member')
    expect(group.enter('m2')).toBe('unknown-member')
  })

  test('does not expel who waits at it, however long', () => {
    const group = TestGroup.pair()
    group.enter('m1', { rebalanceTimeoutMs: 60_000 })
    for (let ms = 0; ms < 10 * SESSION_MS; ms += 500) {
      group.pass(500)
      group.heartbeat('m2', 2)
    }
    expect(group.outcome('m1')).toBe('waits')
    group.enter('m2')
    expect(group.outcome('m1')).toBe('3 leads')
  })

  test('who joined and left before it opened is not waited for', () => {
    const group = TestGroup.pair()
    expect(group.enter('')).toBe('m3')
    expect(group.leave('m3')).toBe('ok')
    group.enter('m1')
    group.enter('m2')
    expect([group.outcome('m1'), group.outcome('m3')]).toEqual(['3 leads', 'unknown-member'])
  })

  test('that begins while the leader assigns sends everybody back', () => {
    const group = TestGroup.pair()
    group.enter('m1')
    group.enter('m2')
    expect(group.sync('m2')).toBe('waits')
    group.enter('')
    expect(group.sync('m1', { m1: [0], m2: [1] })).toBe('rebalancing')
    expect(group.sync('m2')).toBe('rebalancing')
    group.enter('m1')
    group.enter('m2')
    expect(group.outcome('m3')).toBe('4')
  })
})

describe('the leader', () => {
  test('asks for a new generation by coming; a follower only by saying something new', () => {
    const group = TestGroup.pair()
    group.enter('m2')
    expect(group.outcome('m2')).toBe('2')
    expect(group.state.phase).toBe('stable')
    group.enter('m2', { userData: new Uint8Array([1]) })
    expect(group.outcome('m2')).toBe('waits')
    group.enter('m1')
    expect(group.outcome('m2')).toBe('3')
    group.sync('m1', { m1: [0], m2: [1] })
    group.enter('m1')
    expect(group.outcome('m1')).toBe('waits')
  })

  test('who is gone is followed by who has been there longest', () => {
    const group = TestGroup.pair()
    group.leave('m1')
    group.enter('m2')
    expect(group.outcome('m2')).toBe('3 leads')
  })

  test('that dies before it has assigned holds nobody up for ever', () => {
    const group = TestGroup.pair()
    group.enter('m1')
    group.enter('m2')
    for (let ms = 0; ms < SESSION_MS; ms += 250) {
      group.pass(250)
      group.sync('m2')
    }
    expect(group.heartbeat('m2', 3)).toBe('rebalancing')
    group.enter('m2')
    expect(group.outcome('m2')).toBe('4 leads')
    expect(group.sync('m2', { m2: [0, 1] })).toBe('0,1')
  })

  test('may leave a member out, which then holds nothing', () => {
    const group = TestGroup.pair()
    group.enter('m1')
    group.enter('m2')
    expect(group.sync('m1', { m1: [0, 1], stranger: [0] })).toBe('0,1')
    expect(group.sync('m2')).toBe('')
  })

  test('alone assigns: what a follower brings is ignored', () => {
    const group = TestGroup.pair()
    group.enter('m1')
    group.enter('m2')
    expect(group.sync('m2', { m2: [0, 1] })).toBe('waits')
    expect(group.sync('m1', { m1: [0], m2: [1] })).toBe('0')
    expect(group.sync('m1', { m1: [0, 1] })).toBe('0')
  })
})

describe('a session', () => {
  test('ends when nothing is heard; heartbeats, commits and syncs are heard', () => {
    const group = TestGroup.pair()
    for (const hear of [
      () => group.heartbeat('m1', 2),
      () => group.commit('m1', 2),
      () => group.sync('m1'),
    ]) {
      group.pass(SESSION_MS - 1)
      hear()
      group.heartbeat('m2', 2)
    }
    expect(group.state.members).toHaveLength(2)
    group.pass(SESSION_MS - 1)
    group.heartbeat('m1', 2)
    group.pass(1)
    expect(group.heartbeat('m2', 2)).toBe('unknown-member')
    expect(group.heartbeat('m1', 2)).toBe('rebalancing')
  })

  test('that ended is noticed by whoever asks next: no step sees a dead member', () => {
    const group = TestGroup.pair()
    group.nowMs += SESSION_MS
    expect(group.commit('m2', 2)).toBe('unknown-member')
    expect(group.state.phase).toBe('empty')
  })

  test('of a member that comes back is a new one', () => {
    const group = TestGroup.pair()
    group.pass(SESSION_MS - 1)
    group.heartbeat('m1', 2)
    group.pass(1)
    group.enter('m1')
    expect(group.sync('m1', { m1: [0, 1] })).toBe('0,1')
    expect(group.enter('m2')).toBe('unknown-member')
    expect(group.enter('')).toBe('m3')
    expect(group.outcome('m3')).toBe('waits')
    group.enter('m1')
    expect(group.outcome('m3')).toBe('4')
    expect(group.commit('m2', 2)).toBe('unknown-member')
  })

  test('deadlines are told exactly: nothing happens before, something then', () => {
    const group = TestGroup.pair()
    group.heartbeat('m1', 2)
    const deadlineMs = nextDeadlineMs(group.state)
    expect(advance(group.state, deadlineMs - 1)).toBe(group.state)
    expect(advance(group.state, deadlineMs)).not.toBe(group.state)
    expect(nextDeadlineMs(EMPTY_GROUP)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('a commit', () => {
  test('is admitted for a member of the generation in force, and nobody else', () => {
    const group = TestGroup.pair()
    expect(group.commit('m1', 2)).toBe('ok')
    expect(group.commit('m1', 1)).toBe('stale-generation')
    expect(group.commit('m1', 3)).toBe('stale-generation')
    expect(group.commit('made-up', 2)).toBe('unknown-member')
    expect(group.commit('m1', 2, 'made-up')).toBe('unknown-member')
  })

  test('is admitted in a new generation before the member has its assignment', () => {
    const group = TestGroup.pair()
    group.enter('m1')
    group.enter('m2')
    expect(group.commit('m1', 3)).toBe('ok')
  })

  test('from outside is admitted while the group is empty; generations go on counting', () => {
    const group = new TestGroup()
    const outside = (): string =>
      answerText(group.step((state, nowMs) => admitCommit(state, undefined, nowMs)))
    expect(outside()).toBe('ok')
    group.enter('')
    expect(outside()).toBe('unknown-member')
    group.sync('m1', { m1: [0] })
    expect(outside()).toBe('unknown-member')
    group.leave('m1')
    expect(outside()).toBe('ok')
    expect(group.commit('m1', 1)).toBe('unknown-member')
    group.enter('')
    expect(group.outcome('m2')).toBe('3 leads')
  })
})

test('a group is described as it is', () => {
  const group = TestGroup.pair()
  expect(describeGroup('g', EMPTY_GROUP)).toMatchObject({ state: 'empty', members: [] })
  expect(describeGroup('g', group.state)).toEqual({
    groupId: 'g',
    generation: 2,
    state: 'stable',
    members: [
      { memberId: 'm1', instanceId: undefined, ...held([0]), userData: new Uint8Array() },
      { memberId: 'm2', instanceId: undefined, ...held([1]), userData: new Uint8Array() },
    ],
  })
  group.enter('')
  expect(describeGroup('g', group.state).state).toBe('rebalancing')
})
