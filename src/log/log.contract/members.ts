/** Group members for tests: they take events as they come, and hold on to a revoke until told to let go. */
import {
  type Assignment,
  type Assignor,
  type GroupMember,
  type JoinOptions,
  type Log,
  type MembershipEvent,
  partitionKey,
} from '../log.ts'

/** Deals the partitions of all topics out in turn, members by instance or member id; user data says how many each got. */
export const dealOut: Assignor = (members, partitionCounts) => {
  const sorted = members.toSorted((a, b) =>
    (a.instanceId ?? a.memberId) < (b.instanceId ?? b.memberId) ? -1 : 1,
  )
  const dealt = sorted.map(() => [] as { topic: string; partition: number }[])
  let turn = 0
  for (const [topic, count] of partitionCounts) {
    for (let partition = 0; partition < count; partition += 1) {
      dealt[turn++ % dealt.length]?.push({ topic, partition })
    }
  }
  return new Map(
    sorted.map(({ memberId }, index) => {
      const partitions = dealt[index] ?? []
      return [memberId, { partitions, userData: new Uint8Array([partitions.length]) }]
    }),
  )
}

export class TestMember {
  readonly member: GroupMember
  readonly #events: MembershipEvent[] = []
  readonly #waiting: (() => void)[] = []

  constructor(member: GroupMember) {
    this.member = member
    member.onEvent(() => this.#drain())
    this.#drain()
  }

  static async join(
    log: Log,
    options: Partial<JoinOptions> & { groupId: string; topics: readonly string[] },
  ): Promise<TestMember> {
    const member = await log.join({
      userData: () => new Uint8Array(),
      assignor: dealOut,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      heartbeatIntervalMs: 50,
      ...options,
    })
    return new TestMember(member)
  }

  /** Events that came and were not awaited yet. */
  get pending(): readonly string[] {
    return this.#events.map(({ kind }) => kind)
  }

  async next(): Promise<MembershipEvent> {
    for (;;) {
      const event = this.#events.shift()
      if (event) return event
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async assigned(): Promise<Assignment> {
    const event = await this.next()
    if (event.kind !== 'assigned') throw new Error(`${event.kind} instead of assigned`)
    return event.assignment
  }

  async revoking(): Promise<Extract<MembershipEvent, { kind: 'revoking' }>> {
    const event = await this.next()
    if (event.kind !== 'revoking') throw new Error(`${event.kind} instead of revoking`)
    return event
  }

  async lost(): Promise<Extract<MembershipEvent, { kind: 'lost' }>> {
    const event = await this.next()
    if (event.kind !== 'lost') throw new Error(`${event.kind} instead of lost`)
    return event
  }

  #drain(): void {
    for (let event = this.member.take(); event; event = this.member.take()) {
      this.#events.push(event)
    }
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** What an assignment holds, sorted, as texts. */
export function heldBy(...assignments: readonly Assignment[]): readonly string[] {
  return assignments.flatMap(({ partitions }) => partitions.map(partitionKey)).toSorted()
}
