import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { existsSync, statSync } from 'node:fs'

import { appendOf } from '../log.contract/records.ts'
import { openSqliteLog } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const place = { topic: 'orders', partition: 0 }
const MEBIBYTE = 1_048_576

test('R17: the WAL stays bounded however much is written, with readers beside it, and goes when the log closes', async () => {
  const path = newPath()
  const log = await openSqliteLog(path, { clock, random, durability: 'process' })
  await log.createTopics([{ topic: 'orders', partitions: 1, config: {} }])
  const writer = await log.writer()
  const reader = log.reader()
  reader.assign([{ ...place, position: 0 }])
  const append = appendOf(place, ['x'.repeat(MEBIBYTE - 200)])
  let largest = 0
  for (let written = 0; written < 320; written += 4) {
    await Promise.all([1, 2, 3, 4].map(() => writer.append(append)))
    await reader.poll({ waitMs: 0, bytesMax: MEBIBYTE })
    largest = Math.max(largest, statSync(`${path}-wal`).size)
  }
  // 64 MiB, what was written beside one checkpoint, and beside the one that found it too long.
  expect(largest).toBeLessThan(160 * MEBIBYTE)
  await log.close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  const database = new Database(path)
  expect(database.query('PRAGMA quick_check').values()).toEqual([['ok']])
  database.close()
}, 180_000)
