/**
 * The group coordinator inside the writer's transaction: every step reads the row, runs the state machine, writes the row.
 *
 * Invariant: whether a member may commit is decided in the transaction that commits (R1).
 */
import type { Clock } from '#system'
import type { Database, Statement } from 'bun:sqlite'

import type { Refused } from '../group-protocol.ts'
import { LogError, type MemberIdentity } from '../log.ts'
import {
  admitCommit,
  advance,
  type GroupState,
  heartbeat,
  joinGroup,
  leaveGroup,
  type Step,
  syncGroup,
} from '../membership.ts'
import { GroupRows } from './group-rows.ts'
import type { WriteReply, WriteRequest } from './write-channel.ts'

/** A commit is a heartbeat, but one that moves a session's end by less than this share of it is not worth a row. */
const HEARTBEAT_SHARE = 1 / 8

const FENCED = {
  'unknown-member': 'is not a member of it',
  'stale-generation': 'committed under a generation that is over',
  'fenced-instance': 'was replaced by another member of its instance id',
  rebalancing: 'has to rejoin first',
} as const satisfies Record<Refused['refused'], string>

export class GroupSteps {
  readonly #rows: GroupRows
  readonly #clock: Clock
  readonly #save: Statement

  constructor(database: Database, clock: Clock) {
    this.#rows = new GroupRows(database)
    this.#clock = clock
    this.#save = database.prepare('INSERT OR REPLACE INTO groups VALUES (?, ?)')
  }

  /** LOG_FENCED unless `member`, or somebody outside of an empty group, may commit now. */
  checkCommit(groupId: string, member: MemberIdentity | undefined): void {
    if (member !== undefined && member.groupId !== groupId) {
      throw new LogError('LOG_MISUSE', `a member of ${member.groupId} cannot commit for ${groupId}`)
    }
    const nowMs = this.#clock.nowMs()
    const before = this.#rows.read(groupId, nowMs)
    const { group, answer } = admitCommit(before, member, nowMs)
    if (!isOnlyHeard(before, group)) this.#write(groupId, before, group)
    if (answer === 'ok') return
    const who = member === undefined ? 'somebody outside of it' : `member ${member.memberId}`
    throw new LogError('LOG_FENCED', `group ${groupId}: ${who} ${FENCED[answer.refused]}`)
  }

  join({ groupId, request, newMemberId }: WriteRequest<'join-group'>): WriteReply<'join-group'> {
    return this.#step(groupId, (group, nowMs) => joinGroup(group, request, newMemberId, nowMs))
  }

  sync({ groupId, request }: WriteRequest<'sync-group'>): WriteReply<'sync-group'> {
    return this.#step(groupId, (group, nowMs) => syncGroup(group, request, nowMs))
  }

  heartbeat({ groupId, ref }: WriteRequest<'heartbeat'>): WriteReply<'heartbeat'> {
    return this.#step(groupId, (group, nowMs) => heartbeat(group, ref, nowMs))
  }

  leave({ groupId, ref }: WriteRequest<'leave-group'>): WriteReply<'leave-group'> {
    this.#step(groupId, (group, nowMs) => leaveGroup(group, ref, nowMs))
    return null
  }

  advance({ groupId }: WriteRequest<'advance-group'>): WriteReply<'advance-group'> {
    this.#step(groupId, (group, nowMs) => ({ group: advance(group, nowMs), answer: null }))
    return null
  }

  #step<T>(groupId: string, step: (group: GroupState, nowMs: number) => Step<T>): T {
    const nowMs = this.#clock.nowMs()
    const before = this.#rows.read(groupId, nowMs)
    const { group, answer } = step(before, nowMs)
    this.#write(groupId, before, group)
    return answer
  }

  #write(groupId: string, before: GroupState, group: GroupState): void {
    if (group !== before) this.#save.run(groupId, JSON.stringify(group))
  }
}

/** Nothing but sessions' ends moved, and none of them by much. */
function isOnlyHeard(before: GroupState, after: GroupState): boolean {
  if (before.phase !== after.phase || before.generation !== after.generation) return false
  if (before.members.length !== after.members.length) return false
  return before.members.every((member, at) => {
    const expiresAtMs = after.members[at]?.expiresAtMs ?? Number.POSITIVE_INFINITY
    return expiresAtMs - member.expiresAtMs < member.sessionTimeoutMs * HEARTBEAT_SHARE
  })
}
