import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

import type { LogReader } from '../log.ts'
import { coded } from '../log.contract/harness.ts'
import { appendOf, readPartition, recordsOf, valuesOf } from '../log.contract/records.ts'
import { type OwnedLog, openSqliteLog } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const place = { topic: 'orders', partition: 0 }
const beside = { topic: 'orders', partition: 1 }

/** A log with four batches of one record in one partition and one in the other. */
async function filled(): Promise<{ readonly log: OwnedLog; readonly path: string }> {
  const path = newPath()
  const log = await openSqliteLog(path, { clock, random, durability: 'process' })
  await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
  const writer = await log.writer()
  for (const value of ['a', 'b', 'c', 'd']) await writer.append(appendOf(place, [value]))
  await writer.append(appendOf(beside, ['other']))
  return { log, path }
}

/** Changes the batches at offset 1 of partition 0. */
function damage(path: string, change: (bytes: Buffer) => Buffer): void {
  const database = new Database(path)
  const where = 'WHERE partition = 0 AND base_offset = 1'
  const rows = database.query(`SELECT id, bytes FROM batches ${where}`).values()
  for (const [id, bytes] of rows) {
    const damaged = change(Buffer.from(bytes as Uint8Array))
    database.query('UPDATE batches SET bytes = ? WHERE id = ?').run(damaged, id as number)
  }
  database.close()
}

async function drain(
  reader: LogReader,
  polls: number,
): Promise<{ readonly values: readonly (string | null)[]; readonly errors: readonly unknown[] }> {
  const values: (string | null)[] = []
  const errors: unknown[] = []
  for (let poll = 0; poll < polls; poll += 1) {
    await reader.poll({ waitMs: 0, bytesMax: 1_000 }).then(
      (batches) => values.push(...valuesOf(recordsOf(batches))),
      (error: unknown) => errors.push(error),
    )
  }
  return { values, errors }
}

const changed = (change: (bytes: Buffer) => unknown) => (bytes: Buffer) => {
  change(bytes)
  return bytes
}
const flipBit = changed((bytes) => bytes.writeInt8(bytes.readInt8(66) ^ 4, 66))

describe('a damaged batch in the file', () => {
  test.each([
    ['a covered bit', flipBit, 'checksum'],
    ['the base offset', changed((bytes) => bytes.writeInt8(9, 7)), 'base offset 9'],
    ['the length', changed((bytes) => bytes.writeInt32BE(9, 8)), 'says that it has 21'],
    ['the leader epoch', changed((bytes) => bytes.writeInt32BE(3, 12)), 'leader epoch 3'],
    ['the magic', changed((bytes) => bytes.writeInt8(1, 16)), 'magic 1'],
    ['the end', (bytes: Buffer) => bytes.subarray(0, -1), 'says that it has'],
    ['nearly all of it', (bytes: Buffer) => bytes.subarray(0, 20), 'shorter than its header'],
  ])('(%s) is LOG_CORRUPT at its place; other partitions go on', async (_, change, message) => {
    const { log, path } = await filled()
    damage(path, change)
    const reader = log.reader()
    reader.assign([place, beside].map((at) => ({ ...at, position: 0 })))
    const { values, errors } = await drain(reader, 4)
    expect(values.toSorted()).toEqual(['a', 'other'])
    expect(errors).toEqual([
      expect.objectContaining({ code: 'LOG_CORRUPT', at: { ...place, offset: 1 } }),
    ])
    expect(String(errors[0])).toContain(message)
    expect(reader.progress(place)?.position).toBe(1)
    // Skipped with deleteRecords, as the code's remedy says.
    await log.deleteRecords(place, 2)
    expect(valuesOf(await readPartition(log, place))).toEqual(['c', 'd'])
    await log.close()
  })

  test('is met by maintenance too, which goes on with the other partitions', async () => {
    const { log, path } = await filled()
    const config = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' }
    await log.createTopics([{ topic: 'table', partitions: 2, config }])
    const writer = await log.writer()
    for (const partition of [0, 1]) {
      for (const value of ['oldest', 'old', 'new']) {
        await writer.append(appendOf({ topic: 'table', partition }, [{ key: 'k', value }]))
      }
    }
    damage(path, flipBit)
    await log.settleMaintenance()
    const whole = await readPartition(log, { topic: 'table', partition: 1 })
    expect(valuesOf(whole)).toEqual(['new'])
    const damaged = readPartition(log, { topic: 'table', partition: 0 })
    expect(await damaged.catch((error: unknown) => error)).toEqual(coded('LOG_CORRUPT'))
    await log.close()
  })
})

test('a page that SQLite cannot read is LOG_CORRUPT for the partition whose batches were on it', async () => {
  const { log, path } = await filled()
  const database = new Database(path)
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  const roots = database.query("SELECT rootpage FROM sqlite_master WHERE name = 'batches'")
  const page = Number(roots.values()[0]?.[0])
  database.close()
  const bytes = readFileSync(path)
  bytes.fill(0xff, (page - 1) * 4_096, page * 4_096)
  // In place: the connections have the file open.
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, 0)
  closeSync(file)

  const other = await openSqliteLog(path, { clock, random, durability: 'process' })
  const reader = other.reader()
  reader.assign([{ ...place, position: 0 }])
  const { values, errors } = await drain(reader, 3)
  expect(values).toEqual([])
  expect(errors).toEqual([coded('LOG_CORRUPT')])
  await other.close()
  await log.close()
})
