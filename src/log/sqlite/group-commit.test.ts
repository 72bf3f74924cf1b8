import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { expect, spyOn, test } from 'bun:test'

import type { SealedCommit } from '../log.ts'
import { codeOf, coded } from '../log.contract/harness.ts'
import { appendOf, readPartition, valuesOf } from '../log.contract/records.ts'
import { type OwnedLog, openSqliteLog, SQLITE_FAILPOINTS } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'
import { WriterConnection } from './writer-connection.ts'

const newPath = logFiles()
const place = { topic: 'orders', partition: 0 }
const NOTHING: SealedCommit = { appends: [], groupId: undefined, member: undefined, offsets: [] }

async function open(
  path: string = newPath(),
  failpoint: (name: string) => void = () => {},
): Promise<OwnedLog> {
  const log = await openSqliteLog(path, { clock, random, failpoint })
  await log.createTopics([{ topic: 'orders', partitions: 1, config: {} }])
  return log
}

test('what arrives together shares a transaction, at most 256 requests of it', async () => {
  let transactions = 0
  const log = await open(newPath(), (name) => {
    if (name === 'log:before-commit') transactions += 1
  })
  const writer = await log.writer()
  const appends = Array.from({ length: 1_024 }, (_, n) => writer.append(appendOf(place, [`${n}`])))
  await Promise.all(appends)
  expect(transactions).toBe(4)
  await log.close()
})

test('a request that is refused leaves no trace, and its neighbours in the transaction alone', async () => {
  const log = await open()
  const writers = await Promise.all(
    ['a', 'b', 'c'].map((id) => log.writer({ transactionalId: id })),
  )
  const large = 'x'.repeat(2_000_000)
  const values = [['good'], ['half', large], ['fine']]
  const outcomes = await Promise.all(
    writers.map((writer, at) => {
      const appends = (values[at] ?? []).map((value) => appendOf(place, [value]))
      return writer.commit({ ...NOTHING, appends })
    }),
  )
  expect(outcomes.map(codeOf)).toEqual(['committed', 'aborted RECORD_TOO_LARGE', 'committed'])
  expect(valuesOf(await readPartition(log, place))).toEqual(['good', 'fine'])
  await log.close()
})

test('while another connection holds the lock, commits wait and the event loop does not', async () => {
  const path = newPath()
  const log = await open(path)
  const writer = await log.writer({ transactionalId: 'w' })
  const holder = new Database(path)
  holder.run('BEGIN IMMEDIATE')
  const tries = spyOn(WriterConnection.prototype, 'transact')
  let done = false
  const committing = writer.commit({ ...NOTHING, appends: [appendOf(place, ['a'])] })
  void committing.then(() => (done = true))
  // The loop goes round between the tries: otherwise the lock would never be let go.
  while (tries.mock.results.length < 3) await Bun.sleep(1)
  expect(tries.mock.results.map(({ value }) => value)).not.toContain(true)
  expect(done).toBe(false)
  tries.mockRestore()
  holder.run('COMMIT')
  expect(codeOf(await committing)).toBe('committed')
  holder.close()
  await log.close()
})

test('a full disk aborts what waits and may be tried again; nothing of it is there', async () => {
  const path = newPath()
  const log = await open(path)
  const writer = await log.writer({ transactionalId: 'w' })
  const limiting = new Database(path)
  // A trigger is the nearest thing to a disk that is full from here on: it fails the insert.
  limiting.run(`CREATE TRIGGER full BEFORE INSERT ON batches
    BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`)
  const results = await Promise.allSettled([
    writer.append(appendOf(place, ['a'])),
    writer.commit({ ...NOTHING, appends: [appendOf(place, ['b'])] }),
  ])
  expect(results[0]).toMatchObject({ status: 'rejected', reason: { retriable: true } })
  expect(results[1]).toMatchObject({
    value: { outcome: 'aborted', error: { code: 'LOG_UNAVAILABLE' } },
  })
  limiting.run('DROP TRIGGER full')
  limiting.close()
  expect(codeOf(await writer.commit({ ...NOTHING, appends: [appendOf(place, ['c'])] }))).toBe(
    'committed',
  )
  expect(valuesOf(await readPartition(log, place))).toEqual(['c'])
  await log.close()
})

test('every failpoint is passed', async () => {
  const passed = new Set<string>()
  const log = await open(newPath(), (name) => passed.add(name))
  const config = { 'cleanup.policy': 'compact' }
  await log.createTopics([{ topic: 'table', partitions: 1, config }])
  const writer = await log.writer({ transactionalId: 'w' })
  const table = { topic: 'table', partition: 0 }
  for (const value of ['old', 'new']) {
    const appends = [appendOf(table, [{ key: 'k', value }])]
    await writer.commit({ ...NOTHING, appends })
  }
  await log.settleMaintenance()
  await log.close()
  expect([...passed].toSorted()).toEqual(SQLITE_FAILPOINTS.toSorted())
})

test('what waits is bounded: beyond it appends are refused until some of it is written', async () => {
  const log = await open()
  const writer = await log.writer()
  const append = appendOf(place, ['x'.repeat(1_000_000)])
  const results = await Promise.allSettled(Array.from({ length: 140 }, () => writer.append(append)))
  const refused = results.filter(({ status }) => status === 'rejected')
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.length).toBeLessThan(20)
  for (const result of refused) {
    expect(result).toMatchObject({ reason: { code: 'LOG_UNAVAILABLE', retriable: true } })
  }
  expect(await writer.append(append)).toMatchObject({ count: 1 })
  await log.close()
}, 180_000)

test('closing writes what was asked for before, and refuses what comes after', async () => {
  const path = newPath()
  const log = await open(path)
  const writer = await log.writer()
  const before = writer.append(appendOf(place, ['a']))
  const closing = log.close()
  await before
  await closing
  const late = await writer.append(appendOf(place, ['b'])).catch((error: unknown) => error)
  expect(late).toEqual(coded('LOG_CLOSED'))
  const again = await open(path)
  expect(valuesOf(await readPartition(again, place))).toEqual(['a'])
  await again.close()
})
