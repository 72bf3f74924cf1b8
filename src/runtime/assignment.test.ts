import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { string, StreamsBuilder, topic } from '#topology'
import {
  decodeAssignedTasks,
  decodeMemberData,
  encodeAssignedTasks,
  encodeMemberData,
  NOTHING_ASSIGNED,
  NOTHING_TOLD,
} from './assignment-data.ts'
import { assignTasks, taskShapes } from './assignment.ts'
import { activeOf, afterwards, member, shapes, spreadOf } from './test-helpers/groups.ts'

const groups = fc.record({
  stateful: fc.nat(12),
  stateless: fc.nat(12),
  members: fc.uniqueArray(fc.nat(30), { minLength: 1, maxLength: 7 }).chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc
          .record({
            active: fc.uniqueArray(fc.nat(11).map((partition) => `0_${partition}`)),
            positions: fc.dictionary(
              fc.nat(11).map((partition) => `0_${partition}`),
              fc.nat(1000),
            ),
            instance: fc.nat(3).map((instance) => `instance-${instance}`),
          })
          .map((told) => member(`member-${String(id).padStart(2, '0')}`, told)),
      ),
    ),
  ),
  standbys: fc.nat(2),
})

describe('assignment', () => {
  test('every task is active exactly once, and loads differ by at most one', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members, standbys }) => {
        const tasks = shapes(stateful, stateless)
        const assigned = assignTasks(tasks, members, { standbys })
        const active = [...assigned.values()].flatMap((given) => given.active)
        expect([...active].sort()).toEqual(tasks.map(({ taskId }) => taskId).sort())
        expect(spreadOf([...assigned.values()].map((given) => given.active.length))).toBeLessThan(2)
        const statefulCounts = [...assigned.values()].map(
          (given) => given.active.filter((taskId) => taskId.startsWith('0_')).length,
        )
        expect(spreadOf(statefulCounts)).toBeLessThan(2)
      }),
    )
  })

  test('a standby is on another instance than its active task and than the other standbys', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members, standbys }) => {
        const assigned = assignTasks(shapes(stateful, stateless), members, { standbys })
        const instances = new Set(members.map(({ instance }) => instance)).size
        for (let partition = 0; partition < stateful; partition += 1) {
          const holders = members.filter(({ memberId }) => {
            const given = assigned.get(memberId)
            return [...(given?.active ?? []), ...(given?.standby ?? [])].includes(`0_${partition}`)
          })
          expect(holders.length).toBe(1 + Math.min(standbys, instances - 1))
          expect(new Set(holders.map(({ instance }) => instance)).size).toBe(holders.length)
        }
        const standby = [...assigned.values()].flatMap((given) => given.standby)
        expect(standby.filter((taskId) => !taskId.startsWith('0_'))).toEqual([])
      }),
    )
  })

  test('a task without a changelog of its own gets no standby: there is nothing to follow', () => {
    const words = topic('words', { key: string(), value: string() })
    const standbysOf = (logged: boolean): readonly string[] => {
      const builder = new StreamsBuilder('app')
      builder.stream(words).groupByKey().count('counts', { logged })
      const tasks = taskShapes(builder.build(), new Map([['words', 1]]))
      expect(tasks.map(({ stateful }) => stateful)).toEqual([true])
      const assigned = assignTasks(tasks, [member('a'), member('b')], { standbys: 1 })
      return [...assigned.values()].flatMap(({ standby }) => standby)
    }
    expect(standbysOf(true)).toEqual(['0_0'])
    expect(standbysOf(false)).toEqual([])
  })

  test('is sticky: members that tell what they were given are given the same again', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members, standbys }) => {
        const tasks = shapes(stateful, stateless)
        const first = assignTasks(tasks, members, { standbys })
        const again = assignTasks(tasks, afterwards(members, first), { standbys })
        for (const { memberId } of members) {
          expect(activeOf(again, memberId)).toEqual(activeOf(first, memberId))
        }
      }),
    )
  })

  test('a member that joins takes tasks, and no state moves between the others', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members }) => {
        const tasks = shapes(stateful, stateless)
        const first = assignTasks(tasks, members, { standbys: 0 })
        const joined = [...afterwards(members, first), member('member-99')]
        const then = assignTasks(tasks, joined, { standbys: 0 })
        for (const { memberId } of members) {
          const before = activeOf(first, memberId)
          const gained = activeOf(then, memberId).filter(
            (taskId) => taskId.startsWith('0_') && !before.includes(taskId),
          )
          expect(gained).toEqual([])
        }
      }),
    )
  })

  test('a task whose member left goes to the freshest copy of its state', () => {
    const assigned = assignTasks(
      shapes(3, 0),
      [
        member('a', { active: ['0_0'], positions: { '0_0': 10, '0_2': 5 } }),
        member('b', { active: ['0_1'], positions: { '0_1': 10, '0_2': 9 } }),
      ],
      { standbys: 0 },
    )
    expect(activeOf(assigned, 'b')).toEqual(['0_1', '0_2'])
  })

  test('the order in which members are listed changes nothing', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members, standbys }) => {
        const tasks = shapes(stateful, stateless)
        const forwards = assignTasks(tasks, members, { standbys })
        const backwards = assignTasks(tasks, [...members].reverse(), { standbys })
        for (const { memberId } of members) {
          expect(backwards.get(memberId)).toEqual(forwards.get(memberId))
        }
      }),
    )
  })

  test('owners with an endpoint are told to everybody', () => {
    const assigned = assignTasks(
      shapes(2, 0),
      [member('a', { endpoint: 'http://a:1' }), member('b')],
      { standbys: 0 },
    )
    expect(assigned.get('b')?.owners).toEqual({ '0_0': 'http://a:1' })
  })
})

describe('user data', () => {
  test('what was told is heard', () => {
    const told = {
      instance: 'i',
      active: ['0_1'],
      positions: { '0_1': 7 },
      endpoint: 'http://h',
      rejoins: 2,
    }
    expect(decodeMemberData(encodeMemberData(told))).toEqual(told)
    const owners = { '0_0': 'http://h' }
    const given = { active: ['0_0'], standby: ['0_1'], warmUp: ['0_1'], owners }
    expect(decodeAssignedTasks(encodeAssignedTasks(given))).toEqual(given)
  })

  test('bytes that are not ours, or newer, tell nothing', () => {
    for (const text of ['', 'range', '[]', 'null', '{"version":2,"active":["0_0"]}']) {
      expect(decodeMemberData(new TextEncoder().encode(text))).toEqual(NOTHING_TOLD)
      expect(decodeAssignedTasks(new TextEncoder().encode(text))).toEqual(NOTHING_ASSIGNED)
    }
    const odd = '{"version":1,"active":["0_0",3],"positions":{"0_0":"x","0_1":2},"instance":5}'
    expect(decodeMemberData(new TextEncoder().encode(odd))).toEqual({
      ...NOTHING_TOLD,
      active: ['0_0'],
      positions: { '0_1': 2 },
    })
  })
})
