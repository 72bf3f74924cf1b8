/**
 * Which member runs which task: a pure function of who is there, what they hold and how many partitions there are.
 *
 * First the stateful tasks, then the others, each time within quotas: with n tasks on m members everybody gets ⌊n/m⌋, and
 * n mod m of them one more. Within its quota a member keeps what it runs; what is left goes to whoever has the freshest copy
 * of its state and room for it, else to the least loaded. Standbys go to other instances, freshest copy first.
 *
 * Invariant: every task is active exactly once; loads differ by at most one, of stateful tasks and of all; the same members
 * with what they were given are given the same again.
 */
import type { Assignor, MemberAssignment, TopicPartition } from '#log'
import { assert } from '#system'
import type { Topology } from '#topology'
import {
  decodeMemberData,
  encodeAssignedTasks,
  type AssignedTasks,
  type MemberData,
} from './assignment-data.ts'
import { inputTopicsOf, taskCountOf, taskIdOf } from './internal-names.ts'
import type { PartitionCounts } from './task-options.ts'

/** What assignment looks at in a task. */
export interface TaskShape {
  readonly taskId: string
  readonly subTopology: number
  readonly stateful: boolean
  /** Some store has a changelog of its own, so that a standby has something to follow. */
  readonly followable: boolean
  readonly inputs: readonly TopicPartition[]
}

export interface Member extends MemberData {
  readonly memberId: string
}

export interface AssignmentOptions {
  readonly standbys: number
}

/** Every task there is, in order of sub-topology and partition. */
export function taskShapes(topology: Topology, counts: PartitionCounts): readonly TaskShape[] {
  return topology.subTopologies.flatMap((subTopology) => {
    const topics = inputTopicsOf(topology, subTopology)
    const tasks = taskCountOf(topology, subTopology, counts)
    return Array.from({ length: tasks }, (_, partition) => ({
      taskId: taskIdOf(subTopology.number, partition),
      subTopology: subTopology.number,
      stateful: subTopology.stores.length > 0,
      followable: subTopology.stores.some(
        ({ logged, changelogTopic }) => logged && changelogTopic === undefined,
      ),
      inputs: topics
        .filter((topic) => partition < (counts.get(topic) ?? 0))
        .map((topic) => ({ topic, partition })),
    }))
  })
}

/** What the group's leader runs. */
export function createAssignor(topology: Topology, options: AssignmentOptions): Assignor {
  return (subscriptions, partitionCounts) => {
    const tasks = taskShapes(topology, partitionCounts)
    const members = subscriptions.map(({ memberId, userData }) => ({
      memberId,
      ...decodeMemberData(userData),
    }))
    const assigned = assignTasks(tasks, members, options)
    const inputs = new Map(tasks.map((task) => [task.taskId, task.inputs]))
    return new Map(
      [...assigned].map(([memberId, given]): [string, MemberAssignment] => [
        memberId,
        {
          partitions: given.active.flatMap((taskId) => inputs.get(taskId) ?? []),
          userData: encodeAssignedTasks(given),
        },
      ]),
    )
  }
}

export function assignTasks(
  tasks: readonly TaskShape[],
  members: readonly Member[],
  { standbys }: AssignmentOptions,
): ReadonlyMap<string, AssignedTasks> {
  const seats = [...members]
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
    .map((member) => new Seat(member))
  if (seats.length === 0) return new Map()
  spread(
    tasks.filter(({ stateful }) => stateful),
    seats,
  )
  spread(
    tasks.filter(({ stateful }) => !stateful),
    seats,
  )
  for (const task of tasks) if (task.followable) addStandbys(task, seats, standbys)
  const owners = ownersOf(seats)
  return new Map(
    seats.map(({ member, active, standby }) => [
      member.memberId,
      { active: active.map(({ taskId }) => taskId), standby, owners },
    ]),
  )
}

/** A member while tasks are dealt out. */
class Seat {
  readonly member: Member
  readonly runsNow: ReadonlySet<string>
  readonly active: TaskShape[] = []
  readonly standby: string[] = []

  constructor(member: Member) {
    this.member = member
    this.runsNow = new Set(member.active)
  }

  freshness(taskId: string): number {
    return this.member.positions[taskId] ?? -1
  }

  ofSubTopology(subTopology: number): number {
    return this.active.filter((task) => task.subTopology === subTopology).length
  }
}

/** Deals `tasks` out on top of what the seats have, so that loads then differ by at most one. */
function spread(tasks: readonly TaskShape[], seats: readonly Seat[]): void {
  const total = seats.reduce((sum, { active }) => sum + active.length, tasks.length)
  const quota = Math.floor(total / seats.length)
  let extras = total - quota * seats.length
  for (const { active } of seats) if (active.length > quota) extras -= 1
  assert(extras >= 0, 'what is dealt out already fits the quotas of more tasks')

  const hasRoom = ({ active }: Seat): boolean =>
    active.length < quota || (active.length === quota && extras > 0)
  const give = (task: TaskShape, seat: Seat): void => {
    if (seat.active.length === quota) extras -= 1
    seat.active.push(task)
  }

  const left = tasks.filter((task) => {
    const holder = seats.find((seat) => seat.runsNow.has(task.taskId) && hasRoom(seat))
    if (holder !== undefined) give(task, holder)
    return holder === undefined
  })
  for (const task of left) {
    const seat = best(seats.filter(hasRoom), (a, b) => compareForActive(task, a, b))
    assert(seat !== undefined, 'the quotas have room for every task')
    give(task, seat)
  }
}

function compareForActive(task: TaskShape, a: Seat, b: Seat): number {
  return (
    b.freshness(task.taskId) - a.freshness(task.taskId) ||
    a.active.length - b.active.length ||
    a.ofSubTopology(task.subTopology) - b.ofSubTopology(task.subTopology)
  )
}

function addStandbys(task: TaskShape, seats: readonly Seat[], count: number): void {
  const owner = seats.find(({ active }) => active.includes(task))
  assert(owner !== undefined, 'standbys are chosen when every task has an owner')
  const taken = new Set([owner.member.instance])
  for (let left = count; left > 0; left -= 1) {
    const free = seats.filter(({ member }) => !taken.has(member.instance))
    const seat = best(
      free,
      (a, b) =>
        b.freshness(task.taskId) - a.freshness(task.taskId) ||
        a.active.length + a.standby.length - (b.active.length + b.standby.length),
    )
    if (seat === undefined) return
    taken.add(seat.member.instance)
    seat.standby.push(task.taskId)
  }
}

/** The first of the least. */
function best(seats: readonly Seat[], compare: (a: Seat, b: Seat) => number): Seat | undefined {
  let found = seats[0]
  for (const seat of seats) if (found !== undefined && compare(seat, found) < 0) found = seat
  return found
}

function ownersOf(seats: readonly Seat[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    seats.flatMap(({ member: { endpoint }, active }) =>
      endpoint === undefined ? [] : active.map(({ taskId }) => [taskId, endpoint]),
    ),
  )
}
