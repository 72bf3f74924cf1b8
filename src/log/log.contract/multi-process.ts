/** Multi-process: several processes use one log, and none of them can tell. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { type Log, partitionKey, type TopicPartition } from '../log.ts'
import { LogChild, type Told } from './children.ts'
import { fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { TestMember } from './members.ts'
import { appendOf, readPartition, recordsOf, valuesOf } from './records.ts'

const LONG_MS = 60_000

export function multiProcessSection(harness: LogHarness): void {
  describe('multi-process', () => {
    const patientMs = LONG_MS * (harness.patience ?? 1)
    const sessionTimeoutMs = (harness.sessionTimeoutMs ?? 300) * 2
    let under: LogUnderTest
    let log: Log
    let url: string
    let topic: string
    let groupId: string
    const at = (partition: number): TopicPartition => ({ topic, partition })
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
      if (under.url === undefined) throw new Error('children need a `url` to open the log by')
      url = under.url
    })
    afterAll(() => under.dispose())
    beforeEach(async () => {
      topic = fresh('orders')
      groupId = fresh('group')
      await log.createTopics([{ topic, partitions: 4, config: {} }])
    })

    test(
      'appends of three processes to one partition are each whole, and in order of each',
      async () => {
        const names = ['b', 'c']
        const children = names.map((name) => {
          return LogChild.append(url, { place: at(0), name, inFlight: 1 })
        })
        const writer = await log.writer()
        const own: Promise<unknown>[] = []
        for (let n = 0; n < 50; n += 1) {
          const append = writer.append(appendOf(at(0), [`a-${n}`]))
          own.push(append)
          await append
        }
        const enough = children.map((child) =>
          child.until(({ value }) => value?.endsWith('-50') ?? false),
        )
        await Promise.all(enough)
        await Promise.all(children.map((child) => child.kill()))
        const records = await readPartition(log, at(0))
        const byOffset = new Map(records.map(({ offset, value }) => [offset, value]))
        for (const { value, offset = -1 } of children.flatMap((child) => child.told)) {
          if (value !== undefined) expect(byOffset.get(offset)).toBe(value)
        }
        for (const name of ['a', ...names]) {
          const values = valuesOf(records).filter((value) => value?.startsWith(name))
          expect(values).toEqual(values.map((_, n) => `${name}-${n}`))
        }
      },
      patientMs,
    )

    test(
      'a reader that waits gets what another process writes',
      async () => {
        const reader = log.reader()
        reader.assign([{ ...at(0), position: 0 }])
        const child = LogChild.append(url, { place: at(0), name: 'far', inFlight: 1 })
        const batches = await reader.poll({ waitMs: LONG_MS, bytesMax: 1_000 })
        expect(valuesOf(recordsOf(batches))[0]).toBe('far-0')
        await child.kill()
        await reader.close()
      },
      patientMs,
    )

    test(
      'a new writer here fences one of the same id there, and none before it is asked for',
      async () => {
        const transactionalId = fresh('writer')
        const child = LogChild.commit(url, { topic, groupId, transactionalId })
        await child.until(({ n = 0 }) => n >= 20)
        await log.writer({ transactionalId })
        await child.until(({ outcome }) => outcome === 'aborted LOG_FENCED')
        const committed = child.told.filter(({ outcome }) => outcome === 'committed').length
        const offsets = await log.committedOffsets(groupId, [at(2)])
        expect(offsets.get(partitionKey(at(2)))?.offset).toBe(committed)
        expect((await readPartition(log, at(0))).length).toBe(committed)
        await child.kill()
      },
      patientMs,
    )

    test(
      'members in two processes share the partitions; what a killed one held passes on',
      async () => {
        const child = LogChild.member(url, { topic, groupId, sessionTimeoutMs, freezeMs: 0 })
        await child.until(({ held = [] }) => held.length === 4)
        const own = await TestMember.join(log, { groupId, topics: [topic] })
        const half = await own.assigned()
        expect(half.partitions.length).toBe(2)
        await child.until(({ outcome }) => outcome === 'committed', child.told.length)
        await child.kill()
        const revoking = await own.revoking()
        revoking.acknowledge()
        expect((await own.assigned()).partitions.length).toBe(4)
        await own.member.close({ leave: true })
      },
      patientMs,
    )

    test(
      'a member that stood still for longer than its session comes back as a zombie, and is fenced (R1)',
      async () => {
        const freezeMs = sessionTimeoutMs * 3
        const child = LogChild.member(url, { topic, groupId, sessionTimeoutMs, freezeMs })
        await child.until(({ held = [] }) => held.length === 4)
        const own = await TestMember.join(log, { groupId, topics: [topic] })
        await own.assigned()
        await child.until(({ held = [] }) => held.length === 2)
        child.signal('SIGUSR2')
        await child.until(({ event }) => event === 'frozen')
        const revoking = await own.revoking()
        revoking.acknowledge()
        const alone = await own.assigned()
        expect(alone.partitions.length).toBe(4)
        const writer = await log.writer({ transactionalId: fresh('writer') })
        const offsets = alone.partitions.map((place) => ({ ...place, offset: 77, metadata: '' }))
        const sealed = { appends: [], groupId, member: alone, offsets }
        expect(await writer.commit(sealed)).toMatchObject({ outcome: 'committed' })

        await child.until(({ event }) => event === 'thawed')
        const isFenced = ({ event, outcome }: Told): boolean => {
          return event === 'lost' || outcome === 'aborted LOG_FENCED'
        }
        await child.until(isFenced)
        const since = child.told.slice(child.told.findIndex(({ event }) => event === 'thawed'))
        // The commit that was under way when it stood still may have been done in time, and heard of now. Whatever it begins
        // from then on is of a generation that it has joined anew.
        const [, ...begun] = since.filter(({ outcome }) => outcome !== undefined)
        for (const { generation = -1, outcome } of begun) {
          if (outcome === 'committed') expect(generation).toBeGreaterThan(alone.generation)
        }
        await child.kill()
        await own.member.close({ leave: true })
      },
      patientMs,
    )
  })
}
