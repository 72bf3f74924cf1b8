/** Durable: what was acknowledged outlives the process, however it ends. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { type Log, partitionKey, type TopicPartition } from '../log.ts'
import { LogChild } from './children.ts'
import { codeOf, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf, readPartition, valuesOf } from './records.ts'

const LONG_MS = 60_000
const KILLS = 4

export function durableSection(harness: LogHarness): void {
  describe('durable', () => {
    const patientMs = LONG_MS * (harness.patience ?? 1)
    let under: LogUnderTest
    let log: Log
    let topic: string
    let groupId: string
    const at = (partition: number): TopicPartition => ({ topic, partition })
    beforeEach(async () => {
      under = await harness.open()
      log = under.log
      topic = fresh('orders')
      groupId = fresh('group')
      await log.createTopics([{ topic, partitions: 3, config: { 'retention.ms': '-1' } }])
    })
    afterEach(() => under.dispose())

    async function reopen(): Promise<Log> {
      if (under.reopen === undefined)
        throw new Error('a durable driver is opened again by `reopen`')
      log = await under.reopen()
      return log
    }
    function url(): string {
      if (under.url === undefined)
        throw new Error('a durable driver is opened by children by `url`')
      return under.url
    }

    test('a log that is closed and opened again is the same log', async () => {
      const transactionalId = fresh('writer')
      const writer = await log.writer({ transactionalId })
      await writer.append(appendOf(at(0), ['a', 'b']))
      const offsets = [{ ...at(0), offset: 2, metadata: 'two' }]
      const appends = [appendOf(at(1), ['c'])]
      await writer.commit({ appends, groupId, member: undefined, offsets })
      await log.deleteRecords(at(0), 1)
      const before = [log.id, await log.describeTopics([topic]), await log.leaderEpoch(at(0))]
      await log.close()

      await reopen()
      const after = [log.id, await log.describeTopics([topic]), await log.leaderEpoch(at(0))]
      expect(after).toEqual(before)
      expect(await log.earliestOffset(at(0))).toBe(1)
      expect(valuesOf(await readPartition(log, at(0)))).toEqual(['b'])
      expect(valuesOf(await readPartition(log, at(1)))).toEqual(['c'])
      const committed = await log.committedOffsets(groupId, [at(0)])
      expect(committed.get(partitionKey(at(0)))).toEqual({ offset: 2, metadata: 'two' })
      const next = await log.writer({ transactionalId })
      expect(await next.append(appendOf(at(0), ['d']))).toEqual({ baseOffset: 2, count: 1 })
      expect(codeOf(await next.commit({ appends, groupId, member: undefined, offsets }))).toBe(
        'committed',
      )
    })

    test(
      'kill -9 between appends loses none that was acknowledged, and tears none',
      async () => {
        await log.close()
        const acknowledged: { readonly value: string; readonly offset: number }[] = []
        for (let round = 0; round < KILLS; round += 1) {
          const task = { place: at(0), name: `round-${round}`, inFlight: 1 + round * 4 }
          const child = LogChild.append(url(), task)
          await child.until(({ value }) => value?.endsWith(`-${40 + round * 17}`) ?? false)
          await child.kill()
          for (const { value, offset } of child.told) {
            if (value !== undefined && offset !== undefined) acknowledged.push({ value, offset })
          }
        }
        await reopen()
        const records = await readPartition(log, at(0))
        const byOffset = new Map(records.map(({ offset, value }) => [offset, value]))
        expect(acknowledged.length).toBeGreaterThan(KILLS * 40)
        for (const { value, offset } of acknowledged) expect(byOffset.get(offset)).toBe(value)
        // What was written and never acknowledged may be there: once, and at the end of its round.
        expect(new Set(byOffset.values()).size).toBe(byOffset.size)
        expect(byOffset.size - acknowledged.length).toBeLessThanOrEqual(KILLS * 20)
        expect(await log.endOffset(at(0), 'read-committed')).toBe(
          (records.at(-1)?.offset ?? -1) + 1,
        )
      },
      patientMs,
    )

    test(
      'kill -9 between commits leaves each of them whole or not there at all',
      async () => {
        await log.close()
        let acknowledged = 0
        for (let round = 0; round < KILLS; round += 1) {
          const child = LogChild.commit(url(), { topic, groupId, transactionalId: 'w' })
          const enough = acknowledged + 40 + round * 17
          await child.until(({ n = 0 }) => n >= enough)
          await child.kill()
          acknowledged = Math.max(...child.told.map(({ n = 0 }) => n))
        }
        await reopen()
        const committed = await log.committedOffsets(groupId, [at(2)])
        const { offset = 0, metadata } = committed.get(partitionKey(at(2))) ?? {}
        // At most the one commit whose acknowledgement was on its way.
        expect(offset - acknowledged).toBeOneOf([0, 1])
        expect(metadata).toBe(`${offset}`)
        const all = Array.from({ length: offset }, (_, n) => `${n + 1}`)
        expect(valuesOf(await readPartition(log, at(0)))).toEqual(all)
        expect(valuesOf(await readPartition(log, at(1)))).toEqual(all)
      },
      patientMs,
    )
  })
}
