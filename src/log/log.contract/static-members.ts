/** Core: a member with an instance id keeps its place over a restart, and has it alone. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { type Log, LogError, type MemberIdentity } from '../log.ts'
import { fresh, openForMembers, type LogHarness, type LogUnderTest } from './harness.ts'
import { heldBy, TestMember } from './members.ts'

const WAIT_MS = 50

export function staticMembersSection(harness: LogHarness): void {
  describe('static members', () => {
    let under: LogUnderTest
    let log: Log
    let topic: string
    let groupId: string
    beforeAll(async () => {
      under = await openForMembers(harness)
      log = under.log
    })
    afterAll(() => under.dispose())
    beforeEach(async () => {
      topic = fresh('orders')
      groupId = fresh('group')
      await log.createTopics([{ topic, partitions: 4, config: {} }])
    })

    /** User data counts the joins, so it is never what it was before. */
    let joins = 0
    const userData = (): Uint8Array => new Uint8Array([(joins += 1)])
    const join = (instanceId: string): Promise<TestMember> =>
      TestMember.join(log, { groupId, topics: [topic], instanceId, userData })

    async function commitAs(member: MemberIdentity): Promise<string> {
      const writer = await log.writer({ transactionalId: fresh('writer') })
      const offsets = [{ topic, partition: 0, offset: 1, metadata: '' }]
      const result = await writer.commit({ appends: [], groupId, member, offsets })
      await writer.close()
      if (result.outcome === 'committed') return 'committed'
      return result.error instanceof LogError ? result.error.code : 'other'
    }

    /** Members `a` and `b`, stable; `a` came first and leads. */
    async function pair(): Promise<readonly [TestMember, TestMember]> {
      const a = await join('a')
      await a.assigned()
      const b = await join('b')
      ;(await a.revoking()).acknowledge()
      await Promise.all([a.assigned(), b.assigned()])
      return [a, b]
    }

    test.each([
      ['leader', 0],
      ['follower', 1],
    ] as const)(
      'a restarted %s gets its partitions back, and nobody else notices',
      async (_, at) => {
        const members = await pair()
        const [gone, stays] = [members[at], members[1 - at]] as [TestMember, TestMember]
        const [before] = await log.describeGroups([groupId])
        const name = at === 0 ? 'a' : 'b'
        const old = gone.member.assignment
        await gone.member.close({ leave: false })
        const back = await join(name)
        const assignment = await back.assigned()
        expect(assignment.generation).toBe(before?.generation as number)
        expect(assignment.memberId).not.toBe(old?.memberId as string)
        expect(assignment.partitions).toEqual(old?.partitions as typeof assignment.partitions)
        expect(stays.pending).toEqual([])
        expect(await commitAs(old as MemberIdentity)).toBe('LOG_FENCED')
        expect(await commitAs(assignment)).toBe('committed')
        expect(await commitAs(stays.member.assignment as MemberIdentity)).toBe('committed')

        // Static membership hides new user data; a second join, under the new id, makes it known.
        const hiddenBehind = joins
        back.member.rejoin()
        ;(await back.revoking()).acknowledge()
        ;(await stays.revoking()).acknowledge()
        const [own] = await Promise.all([back.assigned(), stays.assigned()])
        expect(own.partitions).toEqual(assignment.partitions)
        const [after] = await log.describeGroups([groupId])
        const described = after?.members.find(({ memberId }) => memberId === own.memberId)
        expect(own.generation).toBeGreaterThan(assignment.generation)
        expect(described?.userData[0]).toBeGreaterThan(hiddenBehind)
        await Promise.all([stays, back].map(({ member }) => member.close({ leave: true })))
      },
    )

    test('a second holder of an instance id replaces the first for good (R23)', async () => {
      const first = await join('a')
      const before = await first.assigned()
      const second = await join('a')
      const after = await second.assigned()
      expect(heldBy(after)).toEqual(heldBy(before))
      expect(await commitAs(before)).toBe('LOG_FENCED')
      expect(await commitAs(after)).toBe('committed')
      // The first is told with its next heartbeat, or when it wants something.
      first.member.rejoin()
      for (;;) {
        const event = await first.next()
        if (event.kind === 'revoking') event.acknowledge()
        else {
          expect(event).toMatchObject({
            kind: 'lost',
            rejoining: false,
            error: { code: 'LOG_FENCED' },
          })
          break
        }
      }
      expect(first.member.assignment).toBeUndefined()
      await first.member.close({ leave: true })
      expect(second.pending).toEqual([])
      expect(await commitAs(after)).toBe('committed')
      await second.member.close({ leave: true })
    })

    test('a place that nobody comes back for is nobody’s when its session has ended', async () => {
      const { sessionTimeoutMs = 600 } = harness
      const options = { groupId, topics: [topic], instanceId: 'a', sessionTimeoutMs }
      const a = await TestMember.join(log, options)
      await a.assigned()
      await a.member.close({ leave: false })
      expect((await log.describeGroups([groupId]))[0]?.members).toHaveLength(1)
      for (;;) {
        const [group] = await log.describeGroups([groupId])
        if (group === undefined || group.members.length === 0) break
        await (under.pass?.(WAIT_MS) ?? Bun.sleep(WAIT_MS))
      }
    })

    test('leaving gives the place up at once', async () => {
      const [a, b] = await pair()
      await b.member.close({ leave: true })
      ;(await a.revoking()).acknowledge()
      expect((await a.assigned()).partitions).toHaveLength(4)
      await a.member.close({ leave: true })
    })
  })
}
