import { systemClock as clock, systemRandom as random } from '#system'
import type { Statement } from 'bun:sqlite'
import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { coded } from '../log.contract/harness.ts'
import { appendOf, recordsOf, valuesOf } from '../log.contract/records.ts'
import type { Log } from '../log.ts'
import { openSqliteLog } from '../sqlite-log.ts'
import { ReadHandle } from './read-handle.ts'
import { SqliteReader } from './sqlite-reader.ts'

let folder: string
let log: Log
let handle: ReadHandle
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-reader-'))
  const path = join(folder, 'campus.db')
  log = await openSqliteLog(path, { clock, random, durability: 'process' })
  handle = new ReadHandle(path, { clock, random })
  await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
  const writer = await log.writer()
  for (const partition of [0, 1]) {
    const place = { topic: 'orders', partition }
    for (const n of [0, 1, 2]) await writer.append(appendOf(place, [`${partition}:${n}`]))
  }
})
afterEach(async () => {
  handle.close()
  await log.close()
  rmSync(folder, { recursive: true })
})

/** A reader of both partitions; the look at the rows of a partition that is `nth` fails with what SQLite throws. */
function failingReader(nth: number): { reader: SqliteReader; looks: () => number } {
  let looks = 0
  const prepare = handle.database.prepare.bind(handle.database)
  const failing = (sql: string): Statement => {
    const statement: Statement = prepare(sql)
    if (!sql.includes('bytes FROM batches')) return statement
    const iterate = statement.iterate.bind(statement)
    statement.iterate = (...bound) => {
      looks += 1
      if (looks === nth) handle.database.run('SELECT a fault')
      return iterate(...bound)
    }
    return statement
  }
  const spy = spyOn(handle.database, 'prepare').mockImplementation(failing as typeof prepare)
  const reader = new SqliteReader(handle, () => {})
  spy.mockRestore()
  reader.assign([0, 1].map((partition) => ({ topic: 'orders', partition, position: 0 })))
  return { reader, looks: () => looks }
}

test.each([
  ['first', 1, 1],
  ['second', 2, 0],
])('a read error at the %s partition of a poll loses no record', async (_, nth, rejected) => {
  const { reader, looks } = failingReader(nth)
  const values: (string | null)[] = []
  const errors: unknown[] = []
  for (let polls = 0; polls < 4; polls += 1) {
    await reader.poll({ waitMs: 0, bytesMax: 1_000_000 }).then(
      (batches) => values.push(...valuesOf(recordsOf(batches))),
      (error: unknown) => errors.push(error),
    )
  }
  expect(looks()).toBeGreaterThan(nth)
  expect(values.toSorted()).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1', '1:2'])
  expect(errors).toEqual(Array(rejected).fill(coded('LOG_UNAVAILABLE')))
  await reader.close()
})
