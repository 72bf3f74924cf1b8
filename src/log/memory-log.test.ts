import { asBuffer } from '#system'
import { VirtualClock } from '#testing'
import { describe, expect, test } from 'bun:test'

import { logContract, type LogUnderTest } from './log.contract.ts'
import { coded } from './log.contract/harness.ts'
import { TestMember } from './log.contract/members.ts'
import { appendOf, readPartition, recordsOf, valuesOf } from './log.contract/records.ts'
import { createMemoryLog, type MemoryLog } from './memory-log.ts'
import { LoopClock } from './test-helpers/loop-clock.ts'

logContract('the memory log', {
  sections: ['core'],
  open: async () => underTest(createMemoryLog()),
  async openForMembers() {
    const clock = new LoopClock()
    const log = createMemoryLog({ clock })
    const pass = (durationMs: number): Promise<void> =>
      new Promise((resolve) => clock.after(durationMs, resolve))
    return { ...underTest(log), pass }
  },
})

function underTest(log: MemoryLog): LogUnderTest {
  return {
    log,
    settleMaintenance: () => log.settleMaintenance(),
    startLeaderEpoch: async (partition) => log.startLeaderEpoch(partition),
    dispose: () => log.close(),
  }
}

const place = { topic: 'orders', partition: 0 }

/** A log with three batches of one record, and a way to the bytes that it keeps. */
async function filled(): Promise<{ log: MemoryLog; kept: readonly Buffer[] }> {
  const log = createMemoryLog()
  await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
  const writer = await log.writer()
  for (const value of ['a', 'b', 'c']) await writer.append(appendOf(place, [value]))
  await writer.append(appendOf({ ...place, partition: 1 }, ['other']))
  const reader = log.reader()
  reader.assign([{ ...place, position: 0 }])
  // What a reader of this log is given is what the log keeps, not a copy.
  const kept = (await reader.poll({ waitMs: 0, bytesMax: 1_000 })).map(({ bytes }) =>
    asBuffer(bytes),
  )
  return { log, kept }
}

describe('a damaged batch in memory', () => {
  test.each([
    ['a covered bit', (bytes: Buffer) => bytes.writeInt8(bytes.readInt8(66) ^ 1, 66), 'checksum'],
    ['the base offset', (bytes: Buffer) => bytes.writeInt8(9, 7), 'base offset 9'],
    ['the length', (bytes: Buffer) => bytes.writeInt32BE(9, 8), 'says that it has 21'],
    ['the leader epoch', (bytes: Buffer) => bytes.writeInt32BE(3, 12), 'leader epoch 3'],
  ])('(%s) is LOG_CORRUPT at its place; other partitions go on', async (_, damage, message) => {
    const { log, kept } = await filled()
    damage(kept[1] as Buffer)
    const reader = log.reader()
    reader.assign([
      { ...place, position: 0 },
      { ...place, partition: 1, position: 0 },
    ])
    const values: (string | null)[] = []
    const errors: unknown[] = []
    for (let polls = 0; polls < 4; polls += 1) {
      await reader.poll({ waitMs: 0, bytesMax: 1_000 }).then(
        (batches) => values.push(...valuesOf(recordsOf(batches))),
        (error) => errors.push(error),
      )
    }
    expect(values.toSorted()).toEqual(['a', 'other'])
    expect(errors).toEqual([
      expect.objectContaining({ code: 'LOG_CORRUPT', at: { ...place, offset: 1 } }),
    ])
    expect(String(errors[0])).toContain(message)
    // Skipped with deleteRecords, as the code's remedy says.
    await log.deleteRecords(place, 2)
    expect(valuesOf(await readPartition(log, place))).toEqual(['c'])
    await log.close()
  })
})

test('a memory log gives the same answers for the same calls, clock and random numbers', async () => {
  const run = async (): Promise<string> => {
    let ids = 0
    const random = { next: () => 0.5, uuid: () => `id-${(ids += 1)}` }
    const log = createMemoryLog({ clock: new VirtualClock(1_000), random })
    await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
    const writer = await log.writer({ transactionalId: 'w' })
    const member = await TestMember.join(log, { groupId: 'g', topics: ['orders'] })
    const assignment = await member.assigned()
    const offsets = [{ ...place, offset: 1, metadata: 'm' }]
    const appends = [appendOf(place, ['a'])]
    const committed = await writer.commit({ appends, groupId: 'g', member: assignment, offsets })
    const all = [log.id, await log.describeTopics(), assignment, committed]
    const read = await readPartition(log, place)
    const state = JSON.stringify([all, read, await log.describeGroups()])
    await log.close()
    return state
  }
  expect(await run()).toBe(await run())
})

test('a topic’s committed offsets go with it', async () => {
  const { log } = await filled()
  const writer = await log.writer({ transactionalId: 'w' })
  const offsets = [{ ...place, offset: 1, metadata: '' }]
  await writer.commit({ appends: [], groupId: 'g', member: undefined, offsets })
  await log.deleteTopics(['orders'])
  await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
  expect(await log.committedOffsets('g', [place])).toEqual(new Map())
})

test('closing a memory log ends what waits, and everything after is LOG_CLOSED', async () => {
  const { log } = await filled()
  const closed = coded('LOG_CLOSED')
  const reader = log.reader()
  reader.assign([{ ...place, position: 3 }])
  const waiting = reader.poll({ waitMs: 3_600_000, bytesMax: 1_000 })
  const writer = await log.writer({ transactionalId: 'w' })
  const member = await TestMember.join(log, { groupId: 'g', topics: ['orders'] })
  await member.assigned()
  await log.close()
  await log.close()
  await expect(waiting).rejects.toEqual(closed)
  await expect(writer.append(appendOf(place, ['d']))).rejects.toEqual(closed)
  const sealed = { appends: [], groupId: undefined, member: undefined, offsets: [] }
  expect(await writer.commit(sealed)).toEqual({ outcome: 'aborted', error: closed })
  await expect(log.describeTopics()).rejects.toEqual(closed)
  await expect(log.endOffset(place, 'read-committed')).rejects.toEqual(closed)
  await expect(log.writer()).rejects.toEqual(closed)
  expect(() => log.reader()).toThrow(closed as Error)
  expect(member.member.assignment).toBeUndefined()
})
