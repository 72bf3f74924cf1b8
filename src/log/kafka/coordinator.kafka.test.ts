import {
  afterAll,
  afterEach,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  spyOn,
  test,
} from 'bun:test'
import { kafkaForTests, startCluster } from '#kafka-for-tests'
import {
  consoleProducer,
  describeGroup,
  groupState,
  resetOffsets,
  startTool,
} from '#kafka-for-tests/tools'

import { type Assignment, type MemberIdentity, partitionKey } from '../log.ts'
import { heldBy, type TestMember } from '../log.contract/members.ts'
import { describeGroups } from './group-descriptions.ts'
import { committedOffsets, commitOffsets } from './group-offsets.ts'
import { endOffset } from './partition-offsets.ts'
import { GroupRig } from './test-helpers/group-rig.ts'

const kafka = await kafkaForTests()
const SESSION_MS = 1_500
const LONG_MS = 30_000
setDefaultTimeout(LONG_MS)

describe.skipIf(kafka === undefined)('a group on a broker', () => {
  let rig: GroupRig
  beforeEach(async () => {
    rig = await GroupRig.open(kafka?.bootstrap ?? '')
  })
  afterEach(() => rig.close())

  async function commitAs(member: MemberIdentity | undefined): Promise<string> {
    const { cluster, groupId, topic } = rig
    const offsets = [{ topic, partition: 0, offset: 1, metadata: 'kept' }]
    try {
      await commitOffsets(cluster, groupId, member, offsets, cluster.clock.elapsedMs() + 5_000)
      return 'committed'
    } catch (error) {
      return (error as { readonly code: string }).code
    }
  }

  /** Everybody lets go as soon as asked; what they then hold. */
  async function settle(...members: readonly TestMember[]): Promise<readonly Assignment[]> {
    return Promise.all(
      members.map(async (member) => {
        for (;;) {
          const event = await member.next()
          if (event.kind === 'assigned') return event.assignment
          if (event.kind === 'revoking') event.acknowledge()
        }
      }),
    )
  }

  test('shares partitions among two and three members, nobody before the other lets go (R1)', async () => {
    const a = rig.join()
    const alone = await a.assigned()
    expect(heldBy(alone)).toEqual(rig.all)
    const b = rig.join()
    const revoking = await a.revoking()
    expect(revoking.assignment).toBe(alone)
    expect(await commitAs(alone)).toBe('committed')
    expect(b.pending).toEqual([])
    revoking.acknowledge()
    const pair = await Promise.all([a.assigned(), b.assigned()])
    expect(heldBy(...pair)).toEqual(rig.all)
    expect(pair.map(({ generation }) => generation)).toEqual([
      alone.generation + 1,
      alone.generation + 1,
    ])
    const c = rig.join()
    const three = await settle(a, b, c)
    expect(heldBy(...three)).toEqual(rig.all)
    expect(three.map(({ partitions }) => partitions.length).toSorted()).toEqual([1, 1, 2])
    expect(await commitAs(alone)).toBe('LOG_FENCED')
    expect(await commitAs(three[2])).toBe('committed')
    expect(await commitAs(undefined)).toBe('LOG_FENCED')
  })

  test('keeps a member that finishes for longer than a session: its heartbeats go on', async () => {
    const a = rig.join({ sessionTimeoutMs: SESSION_MS })
    const before = await a.assigned()
    const b = rig.join()
    const revoking = await a.revoking()
    await Bun.sleep(SESSION_MS * 2)
    expect(a.pending).toEqual([])
    expect(await commitAs(before)).toBe('committed')
    revoking.acknowledge()
    expect(heldBy(...(await Promise.all([a.assigned(), b.assigned()])))).toEqual(rig.all)
  })

  test('expels a member that does not let go in time; it is told, comes back and gets a share', async () => {
    const quick = { sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS }
    // Seldom, so that it does not hear of it, and come back, before the other has been told that it holds everything.
    const a = rig.join({ ...quick, heartbeatIntervalMs: SESSION_MS / 3 })
    const before = await a.assigned()
    const b = rig.join(quick)
    await a.revoking()
    expect(heldBy(await b.assigned())).toEqual(rig.all)
    expect(await commitAs(before)).toBe('LOG_FENCED')
    expect(await a.lost()).toMatchObject({ rejoining: true, error: { code: 'LOG_FENCED' } })
    const [own, others] = await settle(a, b)
    expect(own?.memberId).not.toBe(before.memberId)
    expect(heldBy(own as Assignment, others as Assignment)).toEqual(rig.all)
  })

  test('lets a member join over a lost connection under the name that it has', async () => {
    const a = rig.join()
    await a.assigned()
    const b = rig.join()
    const revoking = await a.revoking()
    // B waits for A at the barrier when its connection breaks.
    const [before] = await describeGroups(rig.cluster, [rig.groupId])
    const calls = spyOn(rig.cluster, 'call')
    rig.breakConnection(b)
    revoking.acknowledge()
    const pair = await Promise.all([a.assigned(), b.assigned()])
    expect(heldBy(...pair)).toEqual(rig.all)
    // Both join and sync, one of them for the second time.
    expect(calls.mock.calls.filter(([, purpose]) => purpose === 'join')).toHaveLength(4)
    calls.mockRestore()
    const [after] = await describeGroups(rig.cluster, [rig.groupId])
    const names = (group: typeof after): readonly string[] | undefined =>
      group?.members.map(({ memberId }) => memberId).toSorted()
    expect(names(after)).toEqual(names(before))
    expect(names(after)).toHaveLength(2)
  })

  test('does not wait for a member that was closed while it waited for others', async () => {
    // Longer than this test may take.
    const patient = { sessionTimeoutMs: 2 * LONG_MS, rebalanceTimeoutMs: 2 * LONG_MS }
    const a = rig.join(patient)
    const before = await a.assigned()
    const b = rig.join(patient)
    const revoking = await a.revoking()
    await b.member.close({ leave: false })
    revoking.acknowledge()
    const alone = await a.assigned()
    expect(heldBy(alone)).toEqual(rig.all)
    expect(alone.generation).toBe(before.generation + 1)
  })

  describe('of static members', () => {
    let joins = 0
    const join = (instanceId: string, more: object = {}): TestMember =>
      rig.join({ instanceId, userData: () => new Uint8Array([(joins += 1)]), ...more })

    test.each([
      ['leader', 0],
      ['follower', 1],
    ] as const)('gives a restarted %s its place, and nobody else notices', async (_, at) => {
      const members = [join('a')]
      await members[0]?.assigned()
      members.push(join('b'))
      await settle(...members)
      const [gone, stays] = [members[at], members[1 - at]] as [TestMember, TestMember]
      const old = gone.member.assignment as Assignment
      await gone.member.close({ leave: false })
      const back = join(at === 0 ? 'a' : 'b')
      const again = await back.assigned()
      expect(again.generation).toBe(old.generation)
      expect(again.memberId).not.toBe(old.memberId)
      expect(again.partitions).toEqual(old.partitions)
      expect(stays.pending).toEqual([])
      expect(await commitAs(old)).toBe('LOG_FENCED')
      expect(await commitAs(again)).toBe('committed')
      // What has changed is told by joining a second time, under the new name.
      const hidden = joins
      back.member.rejoin()
      const [own] = await settle(back, stays)
      expect(own?.generation).toBe(old.generation + 1)
      const [group] = await describeGroups(rig.cluster, [rig.groupId])
      const told = group?.members.find(({ instanceId }) => instanceId === own?.instanceId)
      expect(told?.userData[0]).toBeGreaterThan(hidden)
    })

    test('fences the first holder of an instance id by the second (R23)', async () => {
      const first = join('a')
      const before = await first.assigned()
      const second = join('a')
      const after = await second.assigned()
      expect(heldBy(after)).toEqual(heldBy(before))
      expect(await first.lost()).toMatchObject({
        rejoining: false,
        error: { code: 'LOG_FENCED' },
      })
      expect(await commitAs(before)).toBe('LOG_FENCED')
      expect(await commitAs(after)).toBe('committed')
    })

    test('gives the place up at once when it leaves', async () => {
      const a = join('a')
      await a.assigned()
      const b = join('b')
      await settle(a, b)
      await b.member.close({ leave: true })
      expect(heldBy(...(await settle(a)))).toEqual(rig.all)
    })
  })

  test('is described with what members said and hold, and absent if it is not there', async () => {
    const member = rig.join({ userData: () => new Uint8Array([3]) })
    const { generation, memberId } = await member.assigned()
    const partitions = [0, 1, 2, 3].map((partition) => ({ topic: rig.topic, partition }))
    const expected = {
      groupId: rig.groupId,
      generation,
      state: 'stable',
      members: [{ memberId, instanceId: undefined, partitions, userData: new Uint8Array([3]) }],
    } as const
    expect(await describeGroups(rig.cluster, [rig.groupId, 'nobody'])).toEqual([expected])
    expect(await describeGroups(rig.cluster)).toContainEqual(expected)
    await member.member.close({ leave: true })
    expect(await describeGroups(rig.cluster, [rig.groupId])).toMatchObject([
      { state: 'empty', members: [] },
    ])
    expect(await commitAs(undefined)).toBe('committed')
    const read = await committedOffsets(rig.cluster, rig.groupId, [
      ...partitions,
      { topic: 'nowhere', partition: 0 },
    ])
    expect([...read]).toEqual([[`${rig.topic}-0`, { offset: 1, metadata: 'kept' }]])
  })
})

describe.skipIf(kafka === undefined)('Kafka’s own tools', () => {
  let rig: GroupRig
  beforeEach(async () => {
    rig = await GroupRig.open(kafka?.bootstrap ?? '')
  })
  afterEach(() => rig.close())

  test(
    'show our group, its assignor, members and lag; offsets that they reset are obeyed',
    async () => {
      const { cluster, groupId, topic } = rig
      const target = { bootstrap: kafka?.bootstrap ?? '', group: groupId }
      const records = Array.from({ length: 10 }, () => ({ key: null, value: 'x' }))
      await consoleProducer({ bootstrap: target.bootstrap, topic, records })
      const a = rig.join({ instanceId: 'a' })
      await a.assigned()
      const b = rig.join({ instanceId: 'b' })
      ;(await a.revoking()).acknowledge()
      const [first, second] = await Promise.all([a.assigned(), b.assigned()])
      const deadlineMs = cluster.clock.elapsedMs() + 10_000
      const places = [first, second].flatMap(({ partitions }) => partitions)
      const ends = new Map(
        await Promise.all(
          places.map(
            async (place) =>
              [partitionKey(place), await endOffset(cluster, place, 'read-committed')] as const,
          ),
        ),
      )
      expect([...ends.values()].reduce((sum, end) => sum + end, 0)).toBe(10)
      for (const member of [first, second])
        await commitOffsets(
          cluster,
          groupId,
          member,
          member.partitions.map((place) => ({ ...place, offset: 0, metadata: '' })),
          deadlineMs,
        )
      expect(await groupState(target)).toEqual({
        state: 'Stable',
        assignor: 'millrace',
        members: 2,
      })
      const told = await describeGroup(target)
      expect(told).toHaveLength(4)
      for (const row of told) {
        const end = ends.get(partitionKey(row)) as number
        expect(row).toMatchObject({ topic, committed: 0, end, lag: end, clientId: 'millrace' })
        const holder = [first, second].find(({ partitions }) =>
          partitions.some((place) => partitionKey(place) === partitionKey(row)),
        )
        expect(row.consumerId).toBe(holder?.memberId as string)
      }

      await Promise.all([a, b].map(({ member }) => member.close({ leave: true })))
      await resetOffsets(target, topic, { to: 'latest' })
      const read = await committedOffsets(cluster, groupId, places)
      expect(new Map([...read].map(([key, { offset }]) => [key, offset]))).toEqual(ends)
    },
    2 * LONG_MS,
  )

  test.each(['classic', 'consumer'])(
    'and Java’s consumers of the %s protocol are described as ours are',
    async (protocol) => {
      const { cluster, groupId, topic } = rig
      const args = ['--bootstrap-server', kafka?.bootstrap ?? '', '--topic', topic]
      const java = await startTool({
        tool: 'consumer.ConsoleConsumer',
        args: [...args, '--group', groupId, '--consumer-property', `group.protocol=${protocol}`],
      })
      try {
        const partitions = [0, 1, 2, 3].map((partition) => ({ topic, partition }))
        for (;;) {
          const [group] = await describeGroups(cluster, [groupId])
          const [member] = group?.members ?? []
          if (group?.state !== 'stable' || member?.partitions.length !== 4) continue
          expect(member.partitions).toEqual(partitions)
          expect(member.memberId).not.toBe('')
          break
        }
        expect((await describeGroups(cluster)).map((group) => group.groupId)).toContain(groupId)
      } finally {
        await java.close()
      }
    },
  )
})

describe.skipIf(kafka === undefined)('a broker that is killed and comes back', () => {
  let down: (() => Promise<void>) | undefined
  afterAll(() => down?.())

  test(
    'finds its members where they were, without a rebalance',
    async () => {
      const broker = await startCluster()
      down = () => broker.down()
      const rig = await GroupRig.open(broker.bootstrap)
      const session = { sessionTimeoutMs: 60_000 }
      const a = rig.join(session)
      await a.assigned()
      const b = rig.join(session)
      ;(await a.revoking()).acknowledge()
      const before = await Promise.all([a.assigned(), b.assigned()])
      const [id = 0] = broker.brokerIds
      expect(await broker.kill(id)).toBe(true)
      await broker.start(id)
      // Offsets of both generations' holders are taken, so the coordinator knows them.
      const { cluster, groupId, topic } = rig
      for (const [partition, member] of before.entries()) {
        const offsets = [{ topic, partition, offset: 5, metadata: '' }]
        await commitOffsets(cluster, groupId, member, offsets, cluster.clock.elapsedMs() + 60_000)
      }
      expect([a.pending, b.pending]).toEqual([[], []])
      const [group] = await describeGroups(cluster, [groupId])
      expect(group).toMatchObject({ state: 'stable', generation: before[0]?.generation as number })
      // And they hear of the next change.
      await b.member.close({ leave: true })
      ;(await a.revoking()).acknowledge()
      expect(heldBy(await a.assigned())).toEqual(rig.all)
      await rig.close()
    },
    6 * LONG_MS,
  )
})
