import { systemClock as clock, systemRandom as random } from '#system'
import { VirtualClock } from '#testing'
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import fc from 'fast-check'

import type { LogWriter } from '../log.ts'
import {
  appendOf,
  type PlainRecord,
  readPartition,
  type ReadRecord,
} from '../log.contract/records.ts'
import { type OwnedLog, openSqliteLog, type SqliteLogOptions } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const HOUR_MS = 3_600_000
const table = { topic: 'table', partition: 0 }

async function open(
  path: string = newPath(),
  options: Partial<SqliteLogOptions> = {},
): Promise<{ log: OwnedLog; writer: LogWriter }> {
  const log = await openSqliteLog(path, { clock, random, durability: 'process', ...options })
  const config = {
    'cleanup.policy': 'compact',
    'delete.retention.ms': `${HOUR_MS}`,
    'min.cleanable.dirty.ratio': '0.5',
  }
  await log.createTopics([{ topic: 'table', partitions: 1, config }])
  return { log, writer: await log.writer({ transactionalId: 'w' }) }
}

/** What a table would hold: the last value of every key, tombstones taken away. */
function fold(records: readonly ReadRecord[]): ReadonlyMap<string | null, string | null> {
  const table = new Map<string | null, string | null>()
  for (const { key, value } of records) {
    if (value === null) table.delete(key)
    else table.set(key, value)
  }
  return new Map([...table].toSorted())
}

const batches = fc.array(
  fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', null),
      value: fc.option(fc.string({ maxLength: 3 }), { freq: 3 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  { minLength: 1, maxLength: 8 },
)

test('compaction never changes what the records of a partition add up to, whenever it comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(batches, { minLength: 1, maxLength: 4 }), async (rounds) => {
      const virtual = new VirtualClock(1_700_000_000_000)
      // Everything else of this log lives in real time: only what is old is decided by this clock.
      const dated = { ...clock, nowMs: () => virtual.nowMs() }
      const { log, writer } = await open(newPath(), { clock: dated })
      const written: PlainRecord[] = []
      for (const round of rounds) {
        for (const records of round) {
          await writer.append(appendOf(table, records))
          written.push(...records)
        }
        await log.settleMaintenance()
        await virtual.advance(HOUR_MS * 0.6)
      }
      const kept = await readPartition(log, table)
      const all = written.map(({ key = null, value = null }, offset): ReadRecord => {
        return { key, value, offset, timestampMs: 0, headers: [] }
      })
      const withKey = ({ key }: ReadRecord): boolean => key !== null
      expect(fold(kept.filter(withKey))).toEqual(fold(all.filter(withKey)))
      // Records without a key are never compacted, and everything that stays is where it was.
      expect(kept.filter(({ key }) => key === null).length).toBe(
        all.filter(({ key }) => key === null).length,
      )
      for (const { offset, key, value } of kept) expect(all[offset]).toMatchObject({ key, value })
      // One record a key, but for the part written last.
      expect(await log.endOffset(table, 'read-committed')).toBe(all.length)
      await log.close()
    }),
    { numRuns: 25 },
  )
}, 180_000)

test('R7: a tombstone stays delete.retention.ms from the compaction that met it; then the log tells', async () => {
  const virtual = new VirtualClock(1_700_000_000_000)
  const { log, writer } = await open(newPath(), {
    clock: { ...clock, nowMs: () => virtual.nowMs() },
  })
  await writer.append(appendOf(table, [{ key: 'a', value: '1' }]))
  await writer.append(appendOf(table, [{ key: 'a', value: null }]))
  await writer.append(appendOf(table, [{ key: 'b', value: '1' }]))
  await virtual.advance(HOUR_MS * 9)
  await log.settleMaintenance()
  const offsets = async (): Promise<readonly number[]> =>
    (await readPartition(log, table)).map(({ offset }) => offset)
  expect(await offsets()).toEqual([1, 2])
  expect(await log.tombstonesRemovedBelow(table)).toBe(0)
  await virtual.advance(HOUR_MS - 1)
  await log.settleMaintenance()
  expect(await offsets()).toEqual([1, 2])
  await virtual.advance(1)
  await log.settleMaintenance()
  expect(await offsets()).toEqual([2])
  expect(await log.tombstonesRemovedBelow(table)).toBe(2)
  await log.close()
})

test('a compaction that is cut off anywhere is taken up again, and nothing is missed', async () => {
  for (let cut = 1; cut <= 3; cut += 1) {
    const path = newPath()
    let passes = 0
    const { log, writer } = await open(path, {
      failpoint(name) {
        if (name !== 'log:compaction') return
        passes += 1
        if (passes === cut) throw new Error('cut off')
      },
    })
    // Two chunks, so that one may be rewritten and the other not.
    for (let n = 0; n < 14; n += 1) {
      const records = [
        { key: `${n % 3}`, value: `${n}`.padEnd(100_000) },
        { key: 'x', value: null },
      ]
      await writer.append(appendOf(table, records))
    }
    const before = fold(await readPartition(log, table))
    expect(await log.settleMaintenance().catch(() => 'cut off')).toBe('cut off')
    await log.close()
    const again = await open(path)
    expect(fold(await readPartition(again.log, table))).toEqual(before)
    await again.log.settleMaintenance()
    const kept = await readPartition(again.log, table)
    expect(fold(kept)).toEqual(before)
    expect(kept.length).toBe(4)
    await again.log.close()
  }
})

test('two processes that compact one log at once stay out of each other’s way', async () => {
  const path = newPath()
  const { log, writer } = await open(path)
  const other = await open(path)
  const appends: Promise<unknown>[] = []
  for (let n = 0; n < 400; n += 1) {
    const value = n % 7 === 0 ? null : `${n}`
    appends.push(writer.append(appendOf(table, [{ key: `${n % 11}`, value }])))
    if (n % 100 === 0) appends.push(log.settleMaintenance(), other.log.settleMaintenance())
  }
  await Promise.all(appends)
  const before = fold(await readPartition(log, table))
  await Promise.all([log.settleMaintenance(), other.log.settleMaintenance()])
  await log.settleMaintenance()
  const kept = await readPartition(other.log, table)
  expect(fold(kept)).toEqual(before)
  expect(kept.length).toBe(11)
  await other.log.close()
  await log.close()
})

test('the file gives room back: of a topic that is gone, and of records below the earliest offset', async () => {
  const path = newPath()
  const { log, writer } = await open(path)
  await log.createTopics([{ topic: 'gone', partitions: 2, config: {} }])
  for (const partition of [0, 1]) {
    await writer.append(appendOf({ topic: 'gone', partition }, ['a', 'b']))
  }
  for (const value of ['c', 'd', 'e']) await writer.append(appendOf(table, [value]))
  await log.deleteTopics(['gone'])
  await log.deleteRecords(table, 2)
  await log.settleMaintenance()
  const database = new Database(path)
  const rows = database.query('SELECT base_offset FROM batches').values()
  expect(rows).toEqual([[2]])
  database.close()
  await log.close()
})

test('in the background a partition is compacted once enough of it never was', async () => {
  const { log, writer } = await open(newPath(), { maintenanceIntervalMs: 20 })
  for (let n = 0; n < 3; n += 1) {
    const value = `${n}`.padEnd(30_000)
    await writer.append(appendOf(table, [{ key: `${n % 2}`, value }]))
  }
  while ((await readPartition(log, table)).length > 2) await Bun.sleep(5)
  await log.close()
}, 180_000)
