import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'

import { appendOf } from '../log.contract/records.ts'
import { type Durability, type OwnedLog, openSqliteLog } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const place = { topic: 'orders', partition: 0 }

function open(path: string, bootId: string, durability: Durability): Promise<OwnedLog> {
  return openSqliteLog(path, { clock, random, bootId, durability })
}

/** What a power cut leaves: the files as they were, and nobody that closed them. */
function cutPower(path: string): string {
  const left = newPath('left')
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, left + suffix)
  return left
}

async function filled(durability: Durability): Promise<{ log: OwnedLog; path: string }> {
  const path = newPath()
  const log = await open(path, 'boot-1', durability)
  await log.createTopics([{ topic: 'orders', partitions: 2, config: {} }])
  const writer = await log.writer()
  await writer.append(appendOf(place, ['a', 'b']))
  return { log, path }
}

test.each([
  ['process', 'boot-2', 1],
  ['process', 'unknown', 1],
  ['process', 'boot-1', 0],
  ['power', 'boot-2', 0],
] as const)(
  'R6: not closed under `%s`, opened in %s: leader epoch %i',
  async (durability, bootId, epoch) => {
    const { log, path } = await filled(durability)
    const left = cutPower(path)
    await log.close()
    const again = await open(left, bootId, 'power')
    expect(await again.leaderEpoch(place)).toBe(epoch)
    expect(await again.leaderEpoch({ ...place, partition: 1 })).toBe(epoch)
    const writer = await again.writer()
    await writer.append(appendOf(place, ['c']))
    expect(await again.endOffsetOfEpoch(place, 0)).toBe(epoch === 0 ? 3 : 2)
    expect(await again.endOffsetOfEpoch(place, epoch)).toBe(3)
    await again.close()
  },
)

test('R6: closed under `process`, no epoch begins in another boot', async () => {
  const { log, path } = await filled('process')
  await log.close()
  const again = await open(path, 'boot-2', 'process')
  expect(await again.leaderEpoch(place)).toBe(0)
  await again.close()
})

test('R6: one epoch for one power cut, whoever opens the log after it and how often', async () => {
  const { log, path } = await filled('process')
  const second = await open(path, 'boot-1', 'process')
  const left = cutPower(path)
  await second.close()
  await log.close()
  for (let n = 0; n < 3; n += 1) {
    const again = await open(left, 'boot-2', 'process')
    expect(await again.leaderEpoch(place)).toBe(1)
    await again.close()
  }
})

test('a mark is there while the log is open, and gone when it is closed', async () => {
  const { log, path } = await filled('process')
  const database = new Database(path)
  const marks = (): unknown =>
    database.query('SELECT pid, boot_id, durability FROM openers').values()
  expect(marks()).toEqual([[process.pid, 'boot-1', 'process']])
  await log.close()
  expect(marks()).toEqual([])
  database.close()
})
