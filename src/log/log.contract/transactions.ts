/** Core: a transaction is one sealed value, done whole or not at all, by the newest writer of its id. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import {
  type Log,
  type LogWriter,
  partitionKey,
  type SealedCommit,
  type TopicPartition,
} from '../log.ts'
import { type CommitLoss, ReplyLosingLog } from '../reply-losing-log.ts'
import { codeOf, fresh, type LogHarness, type LogUnderTest } from './harness.ts'
import { appendOf, readPartition, valuesOf } from './records.ts'

const NOTHING: SealedCommit = { appends: [], groupId: undefined, member: undefined, offsets: [] }

export function transactionsSection(harness: LogHarness): void {
  describe('transactions', () => {
    let under: LogUnderTest
    let log: Log
    let topic: string
    let groupId: string
    let transactionalId: string
    let writer: LogWriter
    const at = (partition: number): TopicPartition => ({ topic, partition })
    const offsetAt = (partition: number, offset: number, metadata = '') => ({
      ...at(partition),
      offset,
      metadata,
    })
    beforeAll(async () => {
      under = await harness.open()
      log = under.log
    })
    afterAll(() => under.dispose())
    beforeEach(async () => {
      topic = fresh('orders')
      groupId = fresh('group')
      transactionalId = fresh('writer')
      await log.createTopics([{ topic, partitions: 3, config: {} }])
      writer = await log.writer({ transactionalId })
    })

    async function expectNothing(): Promise<void> {
      for (const partition of [0, 1, 2]) {
        expect(await readPartition(log, at(partition))).toEqual([])
      }
      expect(await log.committedOffsets(groupId, [at(0), at(1), at(2)])).toEqual(new Map())
    }

    test('bring records to several partitions, and offsets with metadata', async () => {
      const result = await writer.commit({
        appends: [appendOf(at(0), ['a', 'b']), appendOf(at(1), ['c']), appendOf(at(0), ['d'])],
        groupId,
        member: undefined,
        offsets: [offsetAt(0, 7, 'seven ключ'), offsetAt(1, 0)],
      })
      expect(result.outcome).toBe('committed')
      // Parallel to the appends: the second one to a partition comes after the first (R2 builds on it).
      expect(result.outcome === 'committed' && result.appended).toEqual([
        { baseOffset: 0, count: 2 },
        { baseOffset: 0, count: 1 },
        { baseOffset: 2, count: 1 },
      ])
      expect(valuesOf(await readPartition(log, at(0)))).toEqual(['a', 'b', 'd'])
      expect(valuesOf(await readPartition(log, at(1)))).toEqual(['c'])
      const committed = await log.committedOffsets(groupId, [at(0), at(1), at(2)])
      expect(committed).toEqual(
        new Map([
          [partitionKey(at(0)), { offset: 7, metadata: 'seven ключ' }],
          [partitionKey(at(1)), { offset: 0, metadata: '' }],
        ]),
      )
      expect(await log.committedOffsets(fresh('another'), [at(0)])).toEqual(new Map())
    })

    test('follow one another: records in order, the last offsets count', async () => {
      for (let n = 0; n < 20; n += 1) {
        const offsets = [offsetAt(0, n, `${n}`)]
        const appends = [appendOf(at(1), [`${n}`])]
        const result = await writer.commit({ appends, groupId, member: undefined, offsets })
        expect(codeOf(result)).toBe('committed')
      }
      const values = valuesOf(await readPartition(log, at(1)))
      expect(values).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`))
      const committed = await log.committedOffsets(groupId, [at(0)])
      expect(committed.get(partitionKey(at(0)))).toEqual({ offset: 19, metadata: '19' })
    })

    test('may hold offsets only, records only, or nothing', async () => {
      const offsets = [offsetAt(2, 5)]
      expect(codeOf(await writer.commit({ ...NOTHING, groupId, offsets }))).toBe('committed')
      const appends = [appendOf(at(0), ['a'])]
      expect(codeOf(await writer.commit({ ...NOTHING, appends }))).toBe('committed')
      expect(codeOf(await writer.commit(NOTHING))).toBe('committed')
      expect(valuesOf(await readPartition(log, at(0)))).toEqual(['a'])
      expect((await log.committedOffsets(groupId, [at(2)])).size).toBe(1)
    })

    test('committed are read by both isolations, and appends in between keep their place', async () => {
      await writer.commit({ ...NOTHING, appends: [appendOf(at(0), ['a'])] })
      await writer.append(appendOf(at(0), ['b']))
      await writer.commit({ ...NOTHING, appends: [appendOf(at(0), ['c'])] })
      for (const isolation of ['read-committed', 'read-uncommitted'] as const) {
        expect(valuesOf(await readPartition(log, at(0), { isolation }))).toEqual(['a', 'b', 'c'])
      }
      const stable = await log.endOffset(at(0), 'read-committed')
      expect(stable).toBeLessThanOrEqual(await log.endOffset(at(0), 'read-uncommitted'))
    })

    test('with one part that cannot be done change nothing at all', async () => {
      const good = appendOf(at(0), ['a'])
      const nowhere = { topic: fresh('nowhere'), partition: 0 }
      const small = fresh('small')
      const config = { 'max.message.bytes': '500' }
      await log.createTopics([{ topic: small, partitions: 1, config }])
      const large = appendOf({ topic: small, partition: 0 }, ['x'.repeat(1_000)])
      const fine = { ...NOTHING, appends: [good], groupId, offsets: [offsetAt(0, 1)] }
      const { offsets } = fine
      const wrong: readonly (readonly [SealedCommit, string])[] = [
        [{ ...fine, appends: [good, appendOf(nowhere, ['b'])] }, 'aborted TOPIC_UNKNOWN'],
        [{ ...fine, appends: [good, large] }, 'aborted RECORD_TOO_LARGE'],
        [
          { ...fine, offsets: [...offsets, { ...nowhere, offset: 1, metadata: '' }] },
          'aborted TOPIC_UNKNOWN',
        ],
        [
          { ...fine, offsets: [...offsets, offsetAt(1, 1, 'm'.repeat(4_097))] },
          'aborted RECORD_TOO_LARGE',
        ],
        [{ ...fine, groupId: undefined }, 'aborted LOG_MISUSE'],
      ]
      for (const [sealed, outcome] of wrong) {
        // After an abort the writer is replaced, as recovery does (R5).
        const newest = await log.writer({ transactionalId })
        expect(codeOf(await newest.commit(sealed))).toBe(outcome)
        await newest.close()
      }
      await expectNothing()
      const newest = await log.writer({ transactionalId })
      const longest = { ...fine, offsets: [offsetAt(0, 1, 'm'.repeat(4_096))] }
      expect(codeOf(await newest.commit(longest))).toBe('committed')
    })

    test('need a transactional id', async () => {
      const appender = await log.writer()
      const result = await appender.commit({ ...NOTHING, appends: [appendOf(at(0), ['a'])] })
      expect(codeOf(result)).toBe('aborted LOG_MISUSE')
      await appender.close()
      await expectNothing()
    })

    test('are one at a time: a second in flight is LOG_MISUSE and does nothing', async () => {
      const [first, second] = await Promise.all([
        writer.commit({ ...NOTHING, appends: [appendOf(at(0), ['a'])] }),
        writer.commit({ ...NOTHING, appends: [appendOf(at(0), ['b'])] }),
      ])
      expect([codeOf(first), codeOf(second)]).toEqual(['committed', 'aborted LOG_MISUSE'])
      expect(valuesOf(await readPartition(log, at(0)))).toEqual(['a'])
    })

    test('of a closed writer are LOG_CLOSED', async () => {
      await writer.close()
      const result = await writer.commit({ ...NOTHING, appends: [appendOf(at(0), ['a'])] })
      expect(codeOf(result)).toBe('aborted LOG_CLOSED')
      await expectNothing()
    })

    test('of an older writer of the same id are fenced; another id is not its concern', async () => {
      const newer = await log.writer({ transactionalId })
      const other = await log.writer({ transactionalId: fresh('other') })
      const sealed = { ...NOTHING, groupId, offsets: [offsetAt(0, 1)] }
      const stale = { ...sealed, appends: [appendOf(at(0), ['stale'])] }
      expect(codeOf(await writer.commit(stale))).toBe('aborted LOG_FENCED')
      await expectNothing()
      const good = { ...sealed, appends: [appendOf(at(0), ['good'])] }
      expect(codeOf(await newer.commit(good))).toBe('committed')
      const beside = { ...NOTHING, appends: [appendOf(at(1), ['beside'])] }
      expect(codeOf(await other.commit(beside))).toBe('committed')
      expect(codeOf(await writer.commit(stale))).toBe('aborted LOG_FENCED')
      expect(valuesOf(await readPartition(log, at(0)))).toEqual(['good'])
    })

    test.each([
      ['never arrived', 'request'],
      ['was done and its reply got lost', 'reply'],
    ] as const)('R5: unknown tells nothing when a commit %s; the log does', async (_what, loss) => {
      const losses: CommitLoss[] = ['none', loss, 'none']
      const lossy = new ReplyLosingLog(log, () => losses.shift() ?? 'none')
      const first = await lossy.writer({ transactionalId })
      const commitOf = (n: number): SealedCommit => ({
        appends: [appendOf(at(0), [`${n}`]), appendOf(at(1), [`${n}`])],
        groupId,
        member: undefined,
        offsets: [offsetAt(2, n)],
      })
      expect(codeOf(await first.commit(commitOf(1)))).toBe('committed')
      expect(codeOf(await first.commit(commitOf(2)))).toBe('unknown LOG_UNAVAILABLE')
      expect(lossy.lost[loss]).toBe(1)

      // Recovery: a new writer ends what was open; stable offsets say from where to go on.
      const second = await lossy.writer({ transactionalId })
      const key = partitionKey(at(2))
      const done = (await lossy.committedOffsets(groupId, [at(2)])).get(key)?.offset ?? 0
      expect(done).toBe(loss === 'reply' ? 2 : 1)
      for (let n = done + 1; n <= 3; n += 1) {
        expect(codeOf(await second.commit(commitOf(n)))).toBe('committed')
      }
      expect(codeOf(await first.commit(commitOf(9)))).toBe('aborted LOG_FENCED')
      for (const partition of [0, 1]) {
        expect(valuesOf(await readPartition(log, at(partition)))).toEqual(['1', '2', '3'])
      }
    })
  })
}
