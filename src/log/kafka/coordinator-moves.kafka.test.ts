/** A group's coordinator among three brokers dies or freezes: the group moves, and its members with it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Cluster as Brokers, kafkaForTests, startCluster } from '#kafka-for-tests'

import type { Assignment } from '../log.ts'
import { heldBy, type TestMember } from '../log.contract/members.ts'
import { describeGroups } from './group-descriptions.ts'
import { committedOffsets, commitOffsets } from './group-offsets.ts'
import { GroupRig } from './test-helpers/group-rig.ts'

const kafka = await kafkaForTests()
const LONG_MS = 240_000
const PATIENCE_MS = 60_000
setDefaultTimeout(LONG_MS)

describe.skipIf(kafka === undefined)('of three brokers', () => {
  let brokers: Brokers
  let rig: GroupRig
  beforeAll(async () => {
    brokers = await startCluster({ brokers: 3 })
  }, LONG_MS)
  afterAll(() => brokers.down())

  async function pair(): Promise<
    readonly [TestMember, TestMember, readonly [Assignment, Assignment]]
  > {
    const session = { sessionTimeoutMs: PATIENCE_MS, rebalanceTimeoutMs: PATIENCE_MS }
    const a = rig.join(session)
    await a.assigned()
    const b = rig.join(session)
    ;(await a.revoking()).acknowledge()
    return [a, b, await Promise.all([a.assigned(), b.assigned()])]
  }

  test.each(['kill', 'stop'] as const)(
    'the coordinator ends by %s: members keep their places, commit, and share anew',
    async (end) => {
      rig = await GroupRig.open(brokers.bootstrap)
      const { cluster, groupId, topic } = rig
      const [a, b, before] = await pair()
      const places = [0, 1].map((partition) => ({ topic, partition }))
      const gone = await cluster.coordinator('group', groupId)
      expect(await brokers[end](gone)).toBe(true)
      for (const [partition, member] of before.entries()) {
        const offsets = [{ topic, partition, offset: 3, metadata: '' }]
        const deadlineMs = cluster.clock.elapsedMs() + PATIENCE_MS
        await commitOffsets(cluster, groupId, member, offsets, deadlineMs)
      }
      expect(await cluster.coordinator('group', groupId)).not.toBe(gone)
      expect((await committedOffsets(cluster, groupId, places)).size).toBe(2)
      expect([a.pending, b.pending]).toEqual([[], []])
      const [group] = await describeGroups(cluster, [groupId])
      expect(group).toMatchObject({ state: 'stable', generation: before[0].generation })
      // And the new coordinator tells them of the next change.
      await b.member.close({ leave: true })
      ;(await a.revoking()).acknowledge()
      expect(heldBy(await a.assigned())).toEqual(rig.all)
      await rig.close()
      if (end === 'kill') await brokers.start(gone)
      else await brokers.cont(gone)
    },
  )
})
