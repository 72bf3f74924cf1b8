/**
 * The group coordinator's state machine, without a transport: values in, values out, time handed in. The memory and SQLite
 * logs run it; a Kafka broker runs its own, which it follows (classic protocol, static members included).
 *
 * A group is empty, joining (members are asked to come back, a barrier waits for them), syncing (all are back, the leader
 * computes) or stable. Every passage of the barrier is a new generation. A state is plain JSON, so a log can keep it in a row.
 *
 * Invariant: within one generation no partition is held by two members, and nobody outside of the current generation commits.
 */
import { Buffer } from 'node:buffer'

import type { GroupDescription, MemberAssignment, MemberIdentity } from './log.ts'
import type {
  JoinAnswer,
  JoinRequest,
  MemberRef,
  Refused,
  SyncAnswer,
  SyncRequest,
} from './group-protocol.ts'

/** One member as the coordinator remembers it. */
interface Member {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  /** Base64, so that a state is plain JSON; so is the assignment's. */
  readonly userData: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** When it is expelled unless it is heard of before. */
  readonly expiresAtMs: number
  /** Came back for the generation that is being made, or is part of the one that was. */
  readonly joined: boolean
  /** Has asked for its assignment, and waits for the leader. */
  readonly waitsForLeader: boolean
  readonly assignment: {
    readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
    readonly userData: string
  }
}

export interface GroupState {
  readonly phase: 'empty' | 'joining' | 'syncing' | 'stable'
  readonly generation: number
  readonly leaderId: string
  /** While joining: who is not back by then is left behind. */
  readonly joinDeadlineMs: number
  /** In the order they came; the leader is the one that has been there longest. */
  readonly members: readonly Member[]
}

/** The state after a step, and its answer. The same object as before means that nothing changed. */
export interface Step<T> {
  readonly group: GroupState
  readonly answer: T
}

export const EMPTY_GROUP: GroupState = {
  phase: 'empty',
  generation: 0,
  leaderId: '',
  joinDeadlineMs: 0,
  members: [],
}

const NOTHING: Member['assignment'] = { partitions: [], userData: '' }

/**
 * Takes a member in, or back. `newMemberId` is used if the request brings none. The answer is the id to ask `joinOutcome`
 * with until it has one.
 */
export function joinGroup(
  before: GroupState,
  request: JoinRequest,
  newMemberId: string,
  nowMs: number,
): Step<{ readonly memberId: string } | Refused> {
  const group = advance(before, nowMs)
  if (request.memberId === '') {
    const member = newMember(request, newMemberId, nowMs)
    const predecessor = group.members.find(
      (other) => other.instanceId !== undefined && other.instanceId === request.instanceId,
    )
    const entered = predecessor
      ? replace(group, predecessor, member, nowMs)
      : enter(group, member, nowMs)
    return { group: entered, answer: { memberId: newMemberId } }
  }
  const found = findMember(group, request)
  if ('refused' in found) return { group, answer: found }
  const member = { ...newMember(request, found.memberId, nowMs), assignment: found.assignment }
  const changed = !sameSubscription(found, member)
  const known = replaceMember(group, found.memberId, member)
  const answer = { memberId: found.memberId }
  // A follower that says nothing new is answered from the generation there is; a leader asks for a new one by coming.
  const isLeader = group.leaderId === found.memberId
  const stays =
    group.phase === 'stable' ? !isLeader && !changed : group.phase === 'syncing' && !changed
  if (stays) return { group: known, answer }
  return { group: returnMember(known, found.memberId, nowMs), answer }
}

/** What a member that joined is told; undefined while the barrier waits for others. */
export function joinOutcome(
  group: GroupState,
  ref: Pick<MemberRef, 'memberId' | 'instanceId'>,
): JoinAnswer | undefined {
  const member = findMember(group, ref)
  if ('refused' in member) return member
  const { memberId } = member
  if (group.phase === 'joining') return member.joined ? undefined : { refused: 'rebalancing' }
  const computes = group.phase === 'syncing' && group.leaderId === memberId
  return {
    memberId,
    generation: group.generation,
    subscriptions: computes
      ? group.members.map(({ memberId, instanceId, topics, userData }) => ({
          memberId,
          instanceId,
          topics,
          userData: fromBase64(userData),
        }))
      : undefined,
  }
}

/** Takes the leader's assignments, and gives a member its own; undefined until the leader's are there. */
export function syncGroup(
  before: GroupState,
  request: SyncRequest,
  nowMs: number,
): Step<SyncAnswer | undefined> {
  let group = advance(before, nowMs)
  const found = findInGeneration(group, request)
  if ('refused' in found) return { group, answer: found }
  if (group.phase === 'joining') return { group, answer: { refused: 'rebalancing' } }
  const { assignments } = request
  if (group.phase === 'syncing' && group.leaderId === found.memberId && assignments) {
    group = assign(group, assignments, nowMs)
  }
  if (group.phase !== 'stable') {
    // Asking again changes nothing, so that whoever asks at every change does not make one.
    if (found.waitsForLeader) return { group, answer: undefined }
    const waiting = replaceMember(group, found.memberId, { ...found, waitsForLeader: true })
    return { group: waiting, answer: undefined }
  }
  group = hear(group, found.memberId, nowMs)
  const own = group.members.find((member) => member.memberId === found.memberId) ?? found
  const { partitions, userData } = own.assignment
  return { group, answer: { partitions, userData: fromBase64(userData) } }
}

/** Keeps a member's place. */
export function heartbeat(before: GroupState, ref: MemberRef, nowMs: number): Step<'ok' | Refused> {
  const group = advance(before, nowMs)
  const found = findInGeneration(group, ref)
  if ('refused' in found) return { group, answer: found }
  const answer = group.phase === 'joining' ? ({ refused: 'rebalancing' } as const) : 'ok'
  return { group: hear(group, found.memberId, nowMs), answer }
}

export function leaveGroup(
  before: GroupState,
  ref: Pick<MemberRef, 'memberId' | 'instanceId'>,
  nowMs: number,
): Step<'ok' | Refused> {
  const group = advance(before, nowMs)
  const found = findMember(group, ref)
  if ('refused' in found) return { group, answer: found }
  return { group: removeMembers(group, (member) => member === found, nowMs), answer: 'ok' }
}

/**
 * Whether offsets may be committed for this group by `member`, or, if it is undefined, by somebody outside of it: then only
 * while the group is empty. An admitted commit counts as a heartbeat.
 */
export function admitCommit(
  before: GroupState,
  member: MemberIdentity | undefined,
  nowMs: number,
): Step<'ok' | Refused> {
  const group = advance(before, nowMs)
  if (!member) {
    return { group, answer: group.members.length === 0 ? 'ok' : { refused: 'unknown-member' } }
  }
  const found = findInGeneration(group, member)
  if ('refused' in found) return { group, answer: found }
  return { group: hear(group, found.memberId, nowMs), answer: 'ok' }
}

/** What time alone does: sessions expire, the barrier stops waiting. Every other step does this first. */
export function advance(group: GroupState, nowMs: number): GroupState {
  const expired = (member: Member): boolean => nowMs >= member.expiresAtMs && !waits(group, member)
  const alive = group.members.some(expired) ? removeMembers(group, expired, nowMs) : group
  if (alive.phase !== 'joining' || nowMs < alive.joinDeadlineMs) return alive
  // Static members keep their place, with what they last said, until their session ends.
  const staying = alive.members.filter((member) => member.joined || member.instanceId !== undefined)
  if (staying.length === 0) return empty(alive)
  return completeJoin({ ...alive, members: staying }, nowMs)
}

/** When `advance` next has something to do; Infinity if never. */
export function nextDeadlineMs(group: GroupState): number {
  let deadlineMs = group.phase === 'joining' ? group.joinDeadlineMs : Number.POSITIVE_INFINITY
  for (const member of group.members) {
    if (!waits(group, member)) deadlineMs = Math.min(deadlineMs, member.expiresAtMs)
  }
  return deadlineMs
}

export function describeGroup(groupId: string, group: GroupState): GroupDescription {
  const { phase, generation } = group
  return {
    groupId,
    generation,
    state: phase === 'joining' || phase === 'syncing' ? 'rebalancing' : phase,
    members: group.members.map(({ memberId, instanceId, assignment, userData }) => ({
      memberId,
      instanceId,
      partitions: assignment.partitions,
      userData: fromBase64(userData),
    })),
  }
}

function newMember(request: JoinRequest, memberId: string, nowMs: number): Member {
  const { instanceId, topics, userData, sessionTimeoutMs, rebalanceTimeoutMs } = request
  return {
    memberId,
    instanceId,
    topics,
    userData: toBase64(userData),
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    expiresAtMs: nowMs + sessionTimeoutMs,
    joined: true,
    waitsForLeader: false,
    assignment: NOTHING,
  }
}

function enter(group: GroupState, member: Member, nowMs: number): GroupState {
  const joining = startJoining(group, nowMs)
  return completeIfBack({ ...joining, members: [...joining.members, member] }, nowMs)
}

/**
 * A static member has come back under a new id: the old id is fenced. In a stable group it takes over the assignment as it
 * is, with no rebalance and whatever user data it now has; a rejoin under the new id makes that known.
 */
function replace(group: GroupState, old: Member, member: Member, nowMs: number): GroupState {
  const heir = { ...member, assignment: old.assignment }
  const leaderId = group.leaderId === old.memberId ? heir.memberId : group.leaderId
  const replaced = { ...replaceMember(group, old.memberId, heir), leaderId }
  const sameTopics = JSON.stringify(old.topics) === JSON.stringify(member.topics)
  if (group.phase === 'stable' && sameTopics) return replaced
  return returnMember(replaced, heir.memberId, nowMs)
}

/** A member is at the barrier, which it starts if there is none. */
function returnMember(group: GroupState, memberId: string, nowMs: number): GroupState {
  const joining = startJoining(group, nowMs)
  const members = joining.members.map((member) =>
    member.memberId === memberId ? { ...member, joined: true } : member,
  )
  return completeIfBack({ ...joining, members }, nowMs)
}

/** The generation is complete: everybody holds what the leader says, or nothing. */
function assign(
  group: GroupState,
  assignments: ReadonlyMap<string, MemberAssignment>,
  nowMs: number,
): GroupState {
  const members = group.members.map((member) => {
    const given = assignments.get(member.memberId)
    const expiresAtMs = member.joined ? nowMs + member.sessionTimeoutMs : member.expiresAtMs
    const settled = { ...member, expiresAtMs, waitsForLeader: false }
    if (!given) return { ...settled, assignment: NOTHING }
    const partitions = given.partitions.map(({ topic, partition }) => ({ topic, partition }))
    return { ...settled, assignment: { partitions, userData: toBase64(given.userData) } }
  })
  return { ...group, phase: 'stable', members }
}

function startJoining(group: GroupState, nowMs: number): GroupState {
  if (group.phase === 'joining') return group
  const waitMs = Math.max(0, ...group.members.map((member) => member.rebalanceTimeoutMs))
  return {
    ...group,
    phase: 'joining',
    joinDeadlineMs: nowMs + waitMs,
    members: group.members.map((member) => ({
      ...member,
      joined: false,
      waitsForLeader: false,
      // Who waited for the leader has sent no heartbeats meanwhile: its session begins anew.
      expiresAtMs: member.waitsForLeader ? nowMs + member.sessionTimeoutMs : member.expiresAtMs,
    })),
  }
}

function completeIfBack(group: GroupState, nowMs: number): GroupState {
  return group.members.every((member) => member.joined) ? completeJoin(group, nowMs) : group
}

function completeJoin(group: GroupState, nowMs: number): GroupState {
  const present = group.members.filter((member) => member.joined)
  const [first] = present
  if (!first) {
    // Only static members that are away: nobody could lead, so the barrier stays until one is back or all have expired.
    const waitMs = Math.max(...group.members.map((member) => member.rebalanceTimeoutMs))
    return { ...group, joinDeadlineMs: nowMs + Math.max(1, waitMs) }
  }
  const leader = present.find((member) => member.memberId === group.leaderId) ?? first
  return {
    ...group,
    phase: 'syncing',
    generation: group.generation + 1,
    leaderId: leader.memberId,
    members: group.members.map((member) => ({
      ...member,
      expiresAtMs: member.joined ? nowMs + member.sessionTimeoutMs : member.expiresAtMs,
      assignment: NOTHING,
    })),
  }
}

function removeMembers(
  group: GroupState,
  leaves: (member: Member) => boolean,
  nowMs: number,
): GroupState {
  const members = group.members.filter((member) => !leaves(member))
  if (members.length === 0) return empty(group)
  return completeIfBack(startJoining({ ...group, members }, nowMs), nowMs)
}

/** The generation goes on counting, so that who was in the group before stays fenced after it. */
function empty(group: GroupState): GroupState {
  return { ...EMPTY_GROUP, generation: group.generation + 1 }
}

function hear(group: GroupState, memberId: string, nowMs: number): GroupState {
  const members = group.members.map((member) =>
    member.memberId === memberId
      ? { ...member, expiresAtMs: nowMs + member.sessionTimeoutMs }
      : member,
  )
  return { ...group, members }
}

function replaceMember(group: GroupState, memberId: string, by: Member): GroupState {
  const members = group.members.map((member) => (member.memberId === memberId ? by : member))
  return { ...group, members }
}

/** Whoever waits for the others, or for the leader, sends no heartbeats meanwhile. */
function waits(group: GroupState, member: Member): boolean {
  return group.phase === 'joining' ? member.joined : member.waitsForLeader
}

function findMember(
  group: GroupState,
  { memberId, instanceId }: Pick<MemberRef, 'memberId' | 'instanceId'>,
): Member | Refused {
  const member = group.members.find((other) => other.memberId === memberId)
  if (member && member.instanceId === instanceId) return member
  const replaced =
    instanceId !== undefined && group.members.some((other) => other.instanceId === instanceId)
  return { refused: replaced ? 'fenced-instance' : 'unknown-member' }
}

function findInGeneration(group: GroupState, ref: MemberRef): Member | Refused {
  const found = findMember(group, ref)
  if ('refused' in found || ref.generation === group.generation) return found
  return { refused: 'stale-generation' }
}

function sameSubscription(a: Member, b: Member): boolean {
  return a.userData === b.userData && JSON.stringify(a.topics) === JSON.stringify(b.topics)
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
