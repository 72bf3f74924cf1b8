/** A group for tests of its state machine: requests in short, answers as texts. */
import type { JoinRequest } from '../group-protocol.ts'
import type { MemberAssignment } from '../log.ts'
import {
  admitCommit,
  advance,
  EMPTY_GROUP,
  type GroupState,
  heartbeat,
  joinGroup,
  joinOutcome,
  leaveGroup,
  type Step,
  syncGroup,
} from '../membership.ts'

export const SESSION_MS = 1_000
export const REBALANCE_MS = 3_000

/** A group and its time; every step passes the state through JSON, as a row does. */
export class TestGroup {
  state: GroupState = EMPTY_GROUP
  nowMs: number = 0
  #ids: number = 0

  step<T>(run: (group: GroupState, nowMs: number) => Step<T>): T {
    const { group, answer } = run(this.state, this.nowMs)
    this.state = JSON.parse(JSON.stringify(group))
    return answer
  }

  /** Asks to join; returns the member id, or the refusal. */
  enter(memberId: string, request: Partial<JoinRequest> = {}): string {
    const full = {
      memberId,
      instanceId: undefined,
      topics: ['orders'],
      userData: new Uint8Array(),
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
      ...request,
    }
    const newId = `m${this.#ids + 1}`
    const answer = this.step((group, nowMs) => joinGroup(group, full, newId, nowMs))
    if ('refused' in answer) return answer.refused
    if (answer.memberId === newId) this.#ids += 1
    return answer.memberId
  }

  /** `waits`, a refusal, or the generation; `leads` beside it where the member has to assign. */
  outcome(memberId: string, instanceId: string | undefined = this.#instanceOf(memberId)): string {
    const answer = joinOutcome(this.state, { memberId, instanceId })
    if (answer === undefined) return 'waits'
    if ('refused' in answer) return answer.refused
    return answer.subscriptions ? `${answer.generation} leads` : `${answer.generation}`
  }

  /** Partitions of `orders`, `waits` or a refusal. `dealt` is the leader's: member id → partitions. */
  sync(
    memberId: string,
    dealt?: Readonly<Record<string, readonly number[]>>,
    instanceId?: string,
  ): string {
    const assignments = dealt && new Map(Object.entries(dealt).map(([id, of]) => [id, held(of)]))
    const ref = { memberId, instanceId, generation: this.state.generation, assignments }
    const answer = this.step((group, nowMs) => syncGroup(group, ref, nowMs))
    if (answer === undefined) return 'waits'
    if ('refused' in answer) return answer.refused
    return answer.partitions.map(({ partition }) => partition).join(',')
  }

  heartbeat(memberId: string, generation: number, instanceId?: string): string {
    const ref = { memberId, instanceId, generation }
    return answerText(this.step((group, nowMs) => heartbeat(group, ref, nowMs)))
  }

  commit(memberId: string, generation: number, instanceId?: string): string {
    const member = { groupId: 'g', memberId, instanceId, generation }
    return answerText(this.step((group, nowMs) => admitCommit(group, member, nowMs)))
  }

  #instanceOf(memberId: string): string | undefined {
    return this.state.members.find((member) => member.memberId === memberId)?.instanceId
  }

  leave(memberId: string, instanceId?: string): string {
    return answerText(
      this.step((group, nowMs) => leaveGroup(group, { memberId, instanceId }, nowMs)),
    )
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.step((group, nowMs) => ({ group: advance(group, nowMs), answer: undefined }))
  }

  /** m1 and m2, stable in generation 2; m1 leads. */
  static pair(): TestGroup {
    const group = new TestGroup()
    group.enter('')
    group.sync('m1', { m1: [0, 1] })
    group.enter('')
    group.enter('m1')
    group.sync('m1', { m1: [0], m2: [1] })
    group.sync('m2')
    return group
  }
}

export function held(partitions: readonly number[]): MemberAssignment {
  const of = partitions.map((partition) => ({ topic: 'orders', partition }))
  return { partitions: of, userData: new Uint8Array(partitions) }
}

export function answerText(answer: 'ok' | { readonly refused: string }): string {
  return answer === 'ok' ? answer : answer.refused
}
