import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Log } from '../log.ts'
import { appendOf } from '../log.contract/records.ts'
import { openSqliteLog } from '../sqlite-log.ts'

let folder: string
let path: string
let log: Log
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-turns-'))
  path = join(folder, 'campus.db')
  log = await openSqliteLog(path, { clock, random, durability: 'process' })
  await log.createTopics([{ topic: 'orders', partitions: 1, config: {} }])
})
afterEach(async () => {
  await log.close()
  rmSync(folder, { recursive: true })
})

function inTickets(statement: string, values: (string | number)[] = []): void {
  const tickets = new Database(`${path}-turns`)
  expect(tickets.run(statement, values)).toBeDefined()
  tickets.close()
}

async function commit(): Promise<string> {
  const writer = await log.writer({ transactionalId: 'app' })
  const appends = [appendOf({ topic: 'orders', partition: 0 }, ['a'])]
  const none = { groupId: undefined, member: undefined, offsets: [] }
  return (await writer.commit({ appends, ...none })).outcome
}

test('tickets that cannot be read or written cost fairness, never a write', async () => {
  inTickets('DROP TABLE tickets')
  expect(await commit()).toBe('committed')
  expect(await commit()).toBe('committed')
})

test.each([
  ['long ago', -3_600_000],
  ['in the future, before the clock was set back', 3_600_000],
])('who was last seen %s is dead, and keeps nobody from writing', async (_, sinceMs) => {
  const values = ['the dead', clock.nowMs() + sinceMs]
  inTickets('INSERT INTO tickets (holder, seen_at_ms) VALUES (?, ?)', values)
  expect(await commit()).toBe('committed')
})
