/**
 * Which member runs which task: a pure function of who is there, what they hold and how many partitions there are.
 *
 * First the stateful tasks, then the others, each time within quotas: with n tasks on m members everybody gets ⌊n/m⌋, and
 * n mod m of them one more. Within its quota a member keeps what it runs; what is left goes to whoever has the freshest copy
 * of its state and room for it, else to who has least of its sub-topology. Standbys go to other instances, freshest copy first.
 *
 * A task whose state would have to be restored where it is to go stays where a fresh copy is, beyond the quotas if need be, and
 * its state is built up there first: a warm-up, after which the member joins again (KIP-441).
 *
 * Invariant: every task is active exactly once, and never far behind a fresher copy; once nothing has to be warmed up loads
 * differ by at most one, of stateful tasks and of all; the same members with what they were given are given the same again.
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
  /** A copy that is at most so far behind the freshest is good enough to run from. */
  readonly lagRecordsMax?: number
  /** So many tasks at a time are warmed up by one member. */
  readonly warmUpsMax?: number
}

/** Kafka Streams' `acceptable.recovery.lag`. */
export const DEFAULT_LAG_RECORDS_MAX = 10_000
/** Kafka Streams' `max.warmup.replicas`, which is of all members together. */
const DEFAULT_WARM_UPS_MAX = 2

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
  options: AssignmentOptions,
): ReadonlyMap<string, AssignedTasks> {
  const { standbys, lagRecordsMax = DEFAULT_LAG_RECORDS_MAX } = options
  const { warmUpsMax = DEFAULT_WARM_UPS_MAX } = options
  const copies = new Copies(members, lagRecordsMax)
  const seats = [...members]
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
    .map((member) => new Seat(member, copies))
  if (seats.length === 0) return new Map()
  spread(interleaved(tasks, true), seats)
  spread(interleaved(tasks, false), seats)
  for (const task of tasks) if (task.followable) warmUpFirst(task, seats, warmUpsMax)
  for (const task of tasks) if (task.followable) addStandbys(task, seats, standbys)
  const owners = ownersOf(seats)
  return new Map(
    seats.map(({ member, active, standby, warmUp }) => [
      member.memberId,
      { active: active.map(({ taskId }) => taskId), standby, warmUp, owners },
    ]),
  )
}

/** How far the copies of each task's state are: of an instance, whose members share a folder, and the furthest of all. */
class Copies {
  readonly #lagRecordsMax: number
  readonly #furthest = new Map<string, number>()

  constructor(members: readonly Member[], lagRecordsMax: number) {
    this.#lagRecordsMax = lagRecordsMax
    for (const { instance, positions } of members) {
      for (const [taskId, position] of Object.entries(positions)) {
        for (const key of [taskId, `${taskId} ${instance}`]) {
          this.#furthest.set(key, Math.max(this.#furthest.get(key) ?? -1, position))
        }
      }
    }
  }

  positionAt(instance: string, taskId: string): number {
    return this.#furthest.get(`${taskId} ${instance}`) ?? -1
  }

  /** Nobody has a copy that is much further. */
  isFreshAt(instance: string, taskId: string): boolean {
    const furthest = this.#furthest.get(taskId) ?? -1
    return furthest - this.positionAt(instance, taskId) <= this.#lagRecordsMax
  }
}

/** A member while tasks are dealt out. */
class Seat {
  readonly member: Member
  readonly runsNow: ReadonlySet<string>
  readonly active: TaskShape[] = []
  readonly standby: string[] = []
  readonly warmUp: string[] = []
  readonly #copies: Copies

  constructor(member: Member, copies: Copies) {
    this.member = member
    this.runsNow = new Set(member.active)
    this.#copies = copies
  }

  freshness(taskId: string): number {
    return this.#copies.positionAt(this.member.instance, taskId)
  }

  isFresh(taskId: string): boolean {
    return this.#copies.isFreshAt(this.member.instance, taskId)
  }

  ofSubTopology(subTopology: number): number {
    return this.active.filter((task) => task.subTopology === subTopology).length
  }
}

/** Partition by partition, so that whoever keeps the first of them keeps some of every sub-topology. */
function interleaved(tasks: readonly TaskShape[], stateful: boolean): readonly TaskShape[] {
  const partitionOf = ({ taskId }: TaskShape): number => Number(taskId.split('_')[1])
  return tasks
    .filter((task) => task.stateful === stateful)
    .sort((a, b) => partitionOf(a) - partitionOf(b) || a.subTopology - b.subTopology)
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

  const left = new Set(tasks)
  for (const [index, seat] of seats.entries()) {
    for (const task of inKeepingOrder(tasks, seat, index)) {
      if (!left.has(task) || !hasRoom(seat)) continue
      give(task, seat)
      left.delete(task)
    }
  }
  for (const task of left) {
    const seat = best(seats.filter(hasRoom), (a, b) => compareForActive(task, a, b))
    assert(seat !== undefined, 'the quotas have room for every task')
    give(task, seat)
  }
}

/**
 * What a seat runs, most wanted first: so that of whatever it keeps every sub-topology has its share. Where not all of it fits,
 * each seat begins with another sub-topology than its neighbour, so that whoever takes the rest has some of each, too.
 */
function inKeepingOrder(
  tasks: readonly TaskShape[],
  seat: Seat,
  index: number,
): readonly TaskShape[] {
  const held = new Map<number, TaskShape[]>()
  for (const task of tasks) {
    if (!seat.runsNow.has(task.taskId) || !seat.isFresh(task.taskId)) continue
    const same = held.get(task.subTopology)
    if (same === undefined) held.set(task.subTopology, [task])
    else same.push(task)
  }
  const wanted = [...held.values()].flatMap((same, place) =>
    same.map((task, rank) => ({
      task,
      share: (rank + 0.5) / same.length,
      turn: (place + index) % held.size,
    })),
  )
  return wanted.sort((a, b) => a.share - b.share || a.turn - b.turn).map(({ task }) => task)
}

function compareForActive(task: TaskShape, a: Seat, b: Seat): number {
  return (
    b.freshness(task.taskId) - a.freshness(task.taskId) ||
    a.ofSubTopology(task.subTopology) - b.ofSubTopology(task.subTopology) ||
    a.active.length - b.active.length
  )
}

/** Leaves the task with a fresh copy of its state until its new owner has one. */
function warmUpFirst(task: TaskShape, seats: readonly Seat[], warmUpsMax: number): void {
  const { taskId } = task
  const target = seats.find(({ active }) => active.includes(task))
  assert(target !== undefined, 'moves are looked at when every task has an owner')
  if (target.isFresh(taskId)) return
  const fresh = seats.filter((seat) => seat.isFresh(taskId))
  const keeper = best(
    fresh,
    (a, b) =>
      Number(b.runsNow.has(taskId)) - Number(a.runsNow.has(taskId)) ||
      b.freshness(taskId) - a.freshness(taskId) ||
      a.active.length - b.active.length,
  )
  assert(keeper !== undefined, 'the furthest copy is with somebody')
  target.active.splice(target.active.indexOf(task), 1)
  keeper.active.push(task)
  if (target.warmUp.length >= warmUpsMax) return
  target.warmUp.push(taskId)
  target.standby.push(taskId)
}

function addStandbys(task: TaskShape, seats: readonly Seat[], count: number): void {
  const owner = seats.find(({ active }) => active.includes(task))
  assert(owner !== undefined, 'standbys are chosen when every task has an owner')
  const { taskId } = task
  const taken = new Set([owner.member.instance])
  // A warm-up comes on top, but not twice to one folder.
  for (const { member, standby } of seats) if (standby.includes(taskId)) taken.add(member.instance)
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
