/** Which tasks move when a group changes, and what is done first: properties over random groups. */
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { AssignedTasks } from './assignment-data.ts'
import { assignTasks, type Member } from './assignment.ts'
import { activeOf, afterwards, member, shapes, spreadOf } from './test-helpers/groups.ts'

const LAG_MAX = 50
/** A standby that is far behind, and one that is not. */
const [STALE, FRESH] = [0, 90]

const groups = fc.record({
  stateful: fc.integer({ min: 1, max: 12 }),
  stateless: fc.nat(12),
  members: fc
    .uniqueArray(fc.nat(30), { minLength: 1, maxLength: 6 })
    .map((ids) => ids.map((id) => member(`member-${String(id).padStart(2, '0')}`))),
  standbys: fc.nat(2),
})

/** Members of folders that hold copies at random positions, some of them run at present. */
const histories = fc.record({
  stateful: fc.integer({ min: 1, max: 12 }),
  members: fc.uniqueArray(fc.nat(30), { minLength: 1, maxLength: 6 }).chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc
          .record({
            active: fc.uniqueArray(fc.nat(11).map((partition) => `0_${partition}`)),
            positions: fc.dictionary(
              fc.nat(11).map((partition) => `0_${partition}`),
              fc.nat(300),
            ),
            instance: fc.nat(3).map((instance) => `instance-${instance}`),
          })
          .map((told) => member(`member-${String(id).padStart(2, '0')}`, told)),
      ),
    ),
  ),
  standbys: fc.nat(2),
  warmUpsMax: fc.nat(3),
})

function ownersOf(assigned: ReadonlyMap<string, AssignedTasks>): ReadonlyMap<string, string> {
  return new Map(
    [...assigned].flatMap(([memberId, { active }]) =>
      active.map((taskId) => [taskId, memberId] as const),
    ),
  )
}

function movedBetween(
  before: ReadonlyMap<string, AssignedTasks>,
  after: ReadonlyMap<string, AssignedTasks>,
): readonly string[] {
  const owners = ownersOf(before)
  return [...ownersOf(after)].flatMap(([taskId, memberId]) =>
    owners.get(taskId) === memberId ? [] : [taskId],
  )
}

/** Assignments until nothing has to be warmed up any more; each round, what was warmed up has caught up. */
function settle(
  stateful: number,
  stateless: number,
  members: readonly Member[],
  options: { readonly standbys: number },
): { readonly rounds: number; readonly assigned: ReadonlyMap<string, AssignedTasks> } {
  const tasks = shapes(stateful, stateless)
  let told = members
  for (let rounds = 1; ; rounds += 1) {
    const assigned = assignTasks(tasks, told, { ...options, lagRecordsMax: LAG_MAX })
    const isWarming = [...assigned.values()].some(({ warmUp }) => warmUp.length > 0)
    if (!isWarming || rounds > 100) return { rounds, assigned }
    told = afterwards(told, assigned, FRESH)
  }
}

const positionAt = (members: readonly Member[], instance: string, taskId: string): number =>
  Math.max(
    -1,
    ...members
      .filter((each) => each.instance === instance)
      .map(({ positions }) => positions[taskId] ?? -1),
  )

/** Sub-topologies of stateful tasks, as many as each has partitions. */
const widths = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })

/** All of them, each with 1 to 5 members. */
function* groupsOfWidths(): Generator<readonly [counts: readonly number[], members: number]> {
  let counts: readonly (readonly number[])[] = [[]]
  for (let length = 1; length <= 4; length += 1) {
    counts = counts.flatMap((each) => [1, 2, 3, 4, 5, 6].map((width) => [...each, width]))
    for (const each of counts)
      for (let members = 1; members <= 5; members += 1) yield [each, members]
  }
}

/** By how many tasks of a sub-topology somebody has more than an even share, rounded up: the most there is. */
function excess(
  counts: readonly number[],
  assigned: ReadonlyMap<string, AssignedTasks>,
  members: number,
): number {
  const held = [...assigned.values()]
  const most = counts.map((width, index) => {
    const loads = held.map(
      ({ active }) => active.filter((taskId) => taskId.startsWith(`${2 + index}_`)).length,
    )
    return Math.max(...loads) - Math.ceil(width / members)
  })
  return Math.max(...most)
}

describe('moves', () => {
  test('each sub-topology is spread by itself: what one does most is not left to one member', () => {
    for (const [counts, count] of groupsOfWidths()) {
      const all = Array.from({ length: count }, (_, n) => member(`member-${n}`))
      // One ran everything before the others came.
      const tasks = shapes(0, 0, counts)
      const [first = member('member-0'), ...others] = all
      const told = [{ ...first, active: tasks.map(({ taskId }) => taskId) }, ...others]
      const assigned = assignTasks(tasks, told, { standbys: 0 })
      expect(excess(counts, assigned, count)).toBeLessThanOrEqual(1)
    }
  })

  test('however many members have come one after the other, nobody has much more of a sub-topology', () => {
    for (const [counts, count] of groupsOfWidths()) {
      const tasks = shapes(0, 0, counts)
      let told = [member('member-0')]
      for (let joined = 1; ; joined += 1) {
        const assigned = assignTasks(tasks, told, { standbys: 0 })
        expect(excess(counts, assigned, joined)).toBeLessThanOrEqual(2)
        if (joined === count) break
        told = [...afterwards(told, assigned), member(`member-${joined}`)]
      }
    }
  })

  test('a third member of a group with two sub-topologies gets some of both', () => {
    const tasks = shapes(0, 0, [4, 4])
    let told = [member('a')]
    for (const next of ['b', 'c', undefined]) {
      const assigned = assignTasks(tasks, told, { standbys: 0 })
      told = [...afterwards(told, assigned)]
      if (next !== undefined) told.push(member(next))
    }
    const subTopologies = told.map(({ active }) => new Set(active.map((taskId) => taskId[0])).size)
    expect(subTopologies).toEqual([2, 2, 2])
  })

  test('of several sub-topologies, too, only the tasks of a member that leaves move', () => {
    fc.assert(
      fc.property(widths, fc.integer({ min: 2, max: 5 }), fc.nat(4), (counts, count, which) => {
        const tasks = shapes(0, 0, counts)
        const all = Array.from({ length: count }, (_, n) => member(`member-${n}`))
        const before = assignTasks(tasks, all, { standbys: 0 })
        const gone = all[which % count]?.memberId ?? ''
        const rest = afterwards(all, before).filter(({ memberId }) => memberId !== gone)
        const after = assignTasks(tasks, rest, { standbys: 0 })
        const held = before.get(gone)?.active ?? []
        expect(movedBetween(before, after).filter((taskId) => !held.includes(taskId))).toEqual([])
      }),
      { numRuns: 2_000 },
    )
  })

  test('no task runs from a copy that is far behind another: its state is built up first', () => {
    fc.assert(
      fc.property(histories, ({ stateful, members, standbys, warmUpsMax }) => {
        const options = { standbys, warmUpsMax, lagRecordsMax: LAG_MAX }
        const assigned = assignTasks(shapes(stateful, 0), members, options)
        expect([...ownersOf(assigned).keys()].sort()).toEqual(
          shapes(stateful, 0)
            .map(({ taskId }) => taskId)
            .sort(),
        )
        for (const [taskId, memberId] of ownersOf(assigned)) {
          const instance = members.find((each) => each.memberId === memberId)?.instance ?? ''
          const furthest = Math.max(...members.map(({ positions }) => positions[taskId] ?? -1))
          const behind = furthest - positionAt(members, instance, taskId)
          expect(behind).toBeLessThanOrEqual(LAG_MAX)
        }
      }),
    )
  })

  test('a member warms up few tasks at a time, as standbys, and none that its own folder runs', () => {
    fc.assert(
      fc.property(histories, ({ stateful, members, standbys, warmUpsMax }) => {
        const options = { standbys, warmUpsMax, lagRecordsMax: LAG_MAX }
        const assigned = assignTasks(shapes(stateful, 0), members, options)
        const instanceOf = new Map(members.map(({ memberId, instance }) => [memberId, instance]))
        const holders = new Map<string, string[]>()
        for (const [memberId, { active, standby, warmUp }] of assigned) {
          expect(warmUp.length).toBeLessThanOrEqual(warmUpsMax)
          expect(warmUp.filter((taskId) => !standby.includes(taskId))).toEqual([])
          for (const taskId of [...active, ...standby]) {
            const instances = holders.get(taskId) ?? []
            instances.push(instanceOf.get(memberId) ?? '')
            holders.set(taskId, instances)
          }
        }
        for (const instances of holders.values()) {
          expect(new Set(instances).size).toBe(instances.length)
        }
      }),
    )
  })

  test('once warmed up, loads differ by at most one, after few rounds', () => {
    fc.assert(
      fc.property(groups, ({ stateful, stateless, members, standbys }) => {
        const before = settle(stateful, stateless, members, { standbys })
        const told = [...afterwards(members, before.assigned, STALE), member('member-99')]
        const { rounds, assigned } = settle(stateful, stateless, told, { standbys })
        expect(spreadOf([...assigned.values()].map(({ active }) => active.length))).toBeLessThan(2)
        // Two tasks a member and round, and the last round moves them.
        expect(rounds).toBeLessThanOrEqual(1 + Math.ceil(stateful / 2))
      }),
    )
  })

  test('a member that joins takes at most its share, from others only, whether it has to warm up or not', () => {
    fc.assert(
      fc.property(groups, ({ stateful, members, standbys }) => {
        const before = settle(stateful, 0, members, { standbys })
        const told = [...afterwards(members, before.assigned, STALE), member('member-99')]
        const first = assignTasks(shapes(stateful, 0), told, { standbys, lagRecordsMax: LAG_MAX })
        // Nothing moves before its state has: the first round only warms up.
        expect(movedBetween(before.assigned, first)).toEqual([])
        const { assigned } = settle(stateful, 0, told, { standbys })
        const moved = movedBetween(before.assigned, assigned)
        expect(moved.length).toBeLessThanOrEqual(Math.ceil(stateful / told.length))
        for (const taskId of moved) expect(activeOf(assigned, 'member-99')).toContain(taskId)
      }),
    )
  })

  test('when a member leaves only its tasks move', () => {
    fc.assert(
      fc.property(groups, fc.nat(5), ({ stateful, members, standbys }, which) => {
        const before = settle(stateful, 0, members, { standbys })
        const gone = members[which % members.length]
        const rest = afterwards(members, before.assigned, FRESH).filter(
          ({ memberId }) => memberId !== gone?.memberId,
        )
        if (rest.length === 0) return
        const options = { standbys, lagRecordsMax: LAG_MAX }
        const after = assignTasks(shapes(stateful, 0), rest, options)
        const held = before.assigned.get(gone?.memberId ?? '')?.active ?? []
        expect(
          movedBetween(before.assigned, after).filter((taskId) => !held.includes(taskId)),
        ).toEqual([])
      }),
    )
  })

  test('a task whose member left goes to its standby, if there is one', () => {
    fc.assert(
      fc.property(groups, fc.nat(5), ({ stateful, members }, which) => {
        const before = settle(stateful, 0, members, { standbys: 1 })
        const gone = members[which % members.length]
        const rest = afterwards(members, before.assigned, FRESH).filter(
          ({ memberId }) => memberId !== gone?.memberId,
        )
        if (rest.length === 0) return
        const options = { standbys: 1, lagRecordsMax: LAG_MAX }
        const after = assignTasks(shapes(stateful, 0), rest, options)
        for (const taskId of before.assigned.get(gone?.memberId ?? '')?.active ?? []) {
          const owner = ownersOf(after).get(taskId) ?? ''
          expect(before.assigned.get(owner)?.standby).toContain(taskId)
        }
      }),
    )
  })

  test('a member that answers elsewhere, or whose positions have gone on, is given the same again', () => {
    fc.assert(
      fc.property(groups, fc.nat(5), ({ stateful, stateless, members, standbys }, which) => {
        const before = settle(stateful, stateless, members, { standbys })
        const told = afterwards(members, before.assigned, FRESH).map((each, index) =>
          index === which % members.length
            ? {
                ...each,
                endpoint: 'http://elsewhere:1',
                rejoins: 1,
                positions: Object.fromEntries(
                  Object.entries(each.positions).map(([taskId, at]) => [taskId, at + 7]),
                ),
              }
            : each,
        )
        const options = { standbys, lagRecordsMax: LAG_MAX }
        const after = assignTasks(shapes(stateful, stateless), told, options)
        expect(movedBetween(before.assigned, after)).toEqual([])
      }),
    )
  })

  test('whose state is gone gives its tasks to who has a copy, and builds them up again', () => {
    const tasks = shapes(2, 0)
    const told = [
      member('a', { active: ['0_1'], positions: { '0_0': 90, '0_1': 100 } }),
      member('b', { active: ['0_0'], positions: {} }),
    ]
    const assigned = assignTasks(tasks, told, { standbys: 1, lagRecordsMax: LAG_MAX })
    expect(activeOf(assigned, 'a')).toEqual(['0_0', '0_1'])
    expect(assigned.get('b')).toMatchObject({ active: [], warmUp: ['0_0'] })
    expect([...(assigned.get('b')?.standby ?? [])].sort()).toEqual(['0_0', '0_1'])
  })
})
