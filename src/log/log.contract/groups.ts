/** Core: members share partitions without ever sharing one, and only the generation in force commits. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import {
  type Assignment,
  type CommitResult,
  type JoinOptions,
  type Log,
  LogError,
  type LogWriter,
  type MemberIdentity,
} from '../log.ts'
import { fresh, openForMembers, type LogHarness, type LogUnderTest } from './harness.ts'
import { heldBy, TestMember } from './members.ts'
import { appendOf, readPartition, valuesOf } from './records.ts'

const LONG_MS = 15_000

export function groupsSection(harness: LogHarness): void {
  describe('groups', () => {
    const patientMs = LONG_MS * (harness.patience ?? 1)
    const sessionTimeoutMs = harness.sessionTimeoutMs ?? 600
    let under: LogUnderTest
    let log: Log
    let topic: string
    let groupId: string
    let writer: LogWriter
    let all: readonly string[]
    beforeAll(async () => {
      under = await openForMembers(harness)
      log = under.log
    })
    afterAll(() => under.dispose())
    beforeEach(async () => {
      topic = fresh('orders')
      groupId = fresh('group')
      all = [0, 1, 2, 3].map((partition) => `${topic}-${partition}`)
      await log.createTopics([{ topic, partitions: 4, config: {} }])
      writer = await log.writer({ transactionalId: fresh('writer') })
    })

    const join = (options: Partial<JoinOptions> = {}): Promise<TestMember> =>
      TestMember.join(log, { groupId, topics: [topic], ...options })

    async function commitAs(member: MemberIdentity | undefined, value: string): Promise<string> {
      const place = { topic, partition: 0 }
      const result: CommitResult = await writer.commit({
        appends: [appendOf(place, [value])],
        groupId,
        member,
        offsets: [{ ...place, offset: 1, metadata: value }],
      })
      if (result.outcome === 'committed') return 'committed'
      // An abort ends a writer's life, as recovery has it (R5).
      writer = await log.writer({ transactionalId: fresh('writer') })
      return result.error instanceof LogError ? result.error.code : 'other'
    }

    /** A second member comes; the first lets go at once. */
    async function second(
      first: TestMember,
      options: Partial<JoinOptions> = {},
    ): Promise<readonly [TestMember, Assignment, Assignment]> {
      const newcomer = await join(options)
      const revoking = await first.revoking()
      revoking.acknowledge()
      const [own, others] = await Promise.all([first.assigned(), newcomer.assigned()])
      return [newcomer, own, others]
    }

    test('of one give it everything', async () => {
      const member = await join()
      const assignment = await member.assigned()
      expect(heldBy(assignment)).toEqual(all)
      expect(assignment).toMatchObject({ groupId, instanceId: undefined })
      expect(member.member.assignment).toBe(assignment)
      await member.member.close({ leave: true })
      expect(member.member.assignment).toBeUndefined()
    })

    test('of two: nobody gets a partition before its holder has let go (R1)', async () => {
      const first = await join()
      const before = await first.assigned()
      const newcomer = await join()
      const revoking = await first.revoking()
      expect(revoking.assignment).toBe(before)
      // What is finished before the acknowledgement still counts.
      expect(await commitAs(before, 'finished')).toBe('committed')
      expect(newcomer.pending).toEqual([])
      revoking.acknowledge()
      const [own, others] = await Promise.all([first.assigned(), newcomer.assigned()])
      expect(own.generation).toBe(others.generation)
      expect(own.generation).toBeGreaterThan(before.generation)
      expect(heldBy(own, others)).toEqual(all)
      expect([own.partitions.length, others.partitions.length]).toEqual([2, 2])
      await Promise.all([first, newcomer].map(({ member }) => member.close({ leave: true })))
    })

    test('fence what was sealed under an older generation, and only that (R1)', async () => {
      const first = await join()
      const before = await first.assigned()
      expect(await commitAs(before, 'a')).toBe('committed')
      const [newcomer, own, others] = await second(first)
      expect(await commitAs(before, 'stale')).toBe('LOG_FENCED')
      expect(await commitAs(own, 'b')).toBe('committed')
      expect(await commitAs(others, 'c')).toBe('committed')
      const wrong = [
        { ...own, generation: own.generation + 1 },
        { ...own, memberId: 'made-up' },
        { ...own, instanceId: 'made-up' },
        { ...own, groupId, memberId: others.memberId, generation: before.generation },
      ]
      for (const member of wrong) expect(await commitAs(member, 'wrong')).toBe('LOG_FENCED')
      expect(await commitAs(undefined, 'outside')).toBe('LOG_FENCED')
      const values = valuesOf(await readPartition(log, { topic, partition: 0 }))
      expect(values).toEqual(['a', 'b', 'c'])
      await Promise.all([first, newcomer].map(({ member }) => member.close({ leave: true })))
    })

    test('take commits from outside only while they have no member', async () => {
      expect(await commitAs(undefined, 'before')).toBe('committed')
      const member = await join()
      const assignment = await member.assigned()
      expect(await commitAs(undefined, 'during')).toBe('LOG_FENCED')
      expect(await commitAs(assignment, 'inside')).toBe('committed')
      await member.member.close({ leave: true })
      expect(await commitAs(assignment, 'left')).toBe('LOG_FENCED')
      expect(await commitAs(undefined, 'after')).toBe('committed')
      const values = valuesOf(await readPartition(log, { topic, partition: 0 }))
      expect(values).toEqual(['before', 'inside', 'after'])
    })

    test('pass on at once what a member leaves behind', async () => {
      const first = await join()
      await first.assigned()
      const [newcomer] = await second(first)
      await newcomer.member.close({ leave: true })
      ;(await first.revoking()).acknowledge()
      expect(heldBy(await first.assigned())).toEqual(all)
      await first.member.close({ leave: true })
    })

    test(
      'pass on what a member held that is not heard of for a session',
      async () => {
        const first = await join()
        await first.assigned()
        const [newcomer, , others] = await second(first, { sessionTimeoutMs })
        await newcomer.member.close({ leave: false })
        ;(await first.revoking()).acknowledge()
        const alone = await first.assigned()
        expect(heldBy(alone)).toEqual(all)
        expect(await commitAs(others, 'expired')).toBe('LOG_FENCED')
        expect(await commitAs(alone, 'alive')).toBe('committed')
        await first.member.close({ leave: true })
      },
      patientMs,
    )

    test(
      'keep a member that finishes for longer than a session: its heartbeats go on',
      async () => {
        const first = await join({ sessionTimeoutMs })
        const before = await first.assigned()
        const newcomer = await join()
        const revoking = await first.revoking()
        await (under.pass ?? Bun.sleep)(sessionTimeoutMs * 2)
        expect(first.pending).toEqual([])
        expect(await commitAs(before, 'late')).toBe('committed')
        revoking.acknowledge()
        const [own, others] = await Promise.all([first.assigned(), newcomer.assigned()])
        expect(heldBy(own, others)).toEqual(all)
        await Promise.all([first, newcomer].map(({ member }) => member.close({ leave: true })))
      },
      patientMs,
    )

    test(
      'expel a member that does not let go in time; it is told, comes back and gets a share',
      async () => {
        const rebalanceTimeoutMs = sessionTimeoutMs
        // It hears of the rebalance, and then nothing until it has been expelled and the newcomer has its share.
        const heartbeatIntervalMs = Math.ceil((rebalanceTimeoutMs * 2) / 3)
        const first = await join({ rebalanceTimeoutMs, heartbeatIntervalMs })
        const before = await first.assigned()
        const newcomer = await join({ rebalanceTimeoutMs })
        const held = await first.revoking()
        expect(heldBy(await newcomer.assigned())).toEqual(all)
        expect(await commitAs(before, 'too late')).toBe('LOG_FENCED')
        const lost = await first.lost()
        expect(lost).toMatchObject({ rejoining: true, error: { code: 'LOG_FENCED' } })
        expect(first.member.assignment).toBeUndefined()
        // Too late to mean anything.
        held.acknowledge()
        ;(await newcomer.revoking()).acknowledge()
        const [own, others] = await Promise.all([first.assigned(), newcomer.assigned()])
        expect(own.memberId).not.toBe(before.memberId)
        expect(heldBy(own, others)).toEqual(all)
        expect(await commitAs(own, 'back')).toBe('committed')
        await Promise.all([first, newcomer].map(({ member }) => member.close({ leave: true })))
      },
      patientMs,
    )

    test('ask nothing of a member that holds nothing', async () => {
      const topics = [fresh('single')]
      await log.createTopics([{ topic: topics[0] as string, partitions: 1, config: {} }])
      const a = await join({ topics, instanceId: 'a' })
      await a.assigned()
      const b = await join({ topics, instanceId: 'b' })
      ;(await a.revoking()).acknowledge()
      const [, idle] = await Promise.all([a.assigned(), b.assigned()])
      expect(idle.partitions).toEqual([])
      a.member.rejoin()
      ;(await a.revoking()).acknowledge()
      const [own, again] = await Promise.all([a.assigned(), b.assigned()])
      expect([own.partitions.length, again.partitions.length]).toEqual([1, 0])
      await Promise.all([a, b].map(({ member }) => member.close({ leave: true })))
    })

    test('carry user data to the leader and back, asked anew at every join', async () => {
      const told: number[][] = []
      let version = 1
      const member = await join({
        userData: () => new Uint8Array([version++]),
        assignor: (members) => {
          told.push(members.map(({ userData }) => userData[0] ?? -1))
          const [first] = members
          return new Map([
            [
              first?.memberId ?? '',
              { partitions: [{ topic, partition: 2 }], userData: new Uint8Array([7, 8]) },
            ],
          ])
        },
      })
      const assignment = await member.assigned()
      expect([...assignment.userData]).toEqual([7, 8])
      expect(heldBy(assignment)).toEqual([`${topic}-2`])
      const [described] = await log.describeGroups([groupId])
      expect(described).toMatchObject({
        groupId,
        state: 'stable',
        generation: assignment.generation,
      })
      const [only] = described?.members ?? []
      expect(only).toMatchObject({ memberId: assignment.memberId, instanceId: undefined })
      expect(only?.partitions).toEqual([{ topic, partition: 2 }])
      expect([...(only?.userData ?? [])]).toEqual([1])

      member.member.rejoin()
      ;(await member.revoking()).acknowledge()
      expect((await member.assigned()).generation).toBeGreaterThan(assignment.generation)
      expect(told).toEqual([[1], [2]])
      await member.member.close({ leave: true })
      expect(await log.describeGroups([groupId])).toMatchObject([{ state: 'empty', members: [] }])
    })

    test('tell an assignor the partition counts of all topics that exist', async () => {
      const [two, nowhere] = [fresh('two'), fresh('nowhere')]
      await log.createTopics([{ topic: two, partitions: 2, config: {} }])
      let counts: ReadonlyMap<string, number> = new Map()
      const member = await join({
        topics: [topic, two, nowhere],
        assignor: (members, partitionCounts) => {
          counts = partitionCounts
          return new Map(
            members.map(({ memberId }) => [
              memberId,
              { partitions: [], userData: new Uint8Array() },
            ]),
          )
        },
      })
      expect((await member.assigned()).partitions).toEqual([])
      expect([...counts].toSorted()).toEqual(
        [
          [topic, 4],
          [two, 2],
        ].toSorted() as [string, number][],
      )
      await member.member.close({ leave: true })
    })
  })
}
