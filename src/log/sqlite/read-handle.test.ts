import { systemClock as clock, systemRandom as random } from '#system'
import { Database, type Statement } from 'bun:sqlite'
import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Log } from '../log.ts'
import { openSqliteLog } from '../sqlite-log.ts'
import { ReadHandle } from './read-handle.ts'

let folder: string
let path: string
let log: Log
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-read-handle-'))
  path = join(folder, 'campus.db')
  log = await openSqliteLog(path, { clock, random, durability: 'process' })
})
afterEach(async () => {
  await log.close()
  rmSync(folder, { recursive: true })
})

/** A handle that does `before`, each in its turn, when it is about to read the names of the topics. */
function interrupted(before: (() => void)[]): ReadHandle {
  const prepare = Database.prototype.prepare
  const interrupting = function (this: Database, sql: string): Statement {
    const statement: Statement = prepare.call(this, sql)
    if (!sql.includes('FROM topics')) return statement
    const values = statement.values.bind(statement)
    statement.values = (...bound) => {
      before.shift()?.()
      return values(...bound)
    }
    return statement
  }
  const spy = spyOn(Database.prototype, 'prepare').mockImplementation(interrupting as never)
  try {
    return new ReadHandle(path, { clock, random })
  } finally {
    spy.mockRestore()
  }
}

/** As another process would, in one transaction. */
function createElsewhere(topic: string): void {
  const other = new Database(path)
  other.transaction(() => {
    other.run("INSERT INTO topics (topic, name, topic_id, config) VALUES (9, ?, 'id', '{}')", [
      topic,
    ])
    other.run('INSERT INTO partitions (topic, partition) VALUES (9, 0), (9, 1)')
    other.run('INSERT INTO epochs VALUES (9, 0, 0, 0), (9, 1, 0, 0)')
    other.run("UPDATE meta SET value = value + 1 WHERE name = 'catalog'")
  })()
  other.close()
}

const partitionsOf = (handle: ReadHandle): unknown =>
  handle.read(() => handle.catalog.topics().map(({ topic, partitions }) => [topic, partitions]))

test('topics and their partitions are read from one snapshot, and what came meanwhile by the next', () => {
  const handle = interrupted([() => createElsewhere('orders')])
  expect(partitionsOf(handle)).toEqual([])
  expect(partitionsOf(handle)).toEqual([['orders', 2]])
  handle.close()
})

test('a catalog that could not be read is read again, not taken for known', () => {
  createElsewhere('orders')
  const handle = interrupted([
    () => {
      throw new Error('a fault')
    },
  ])
  expect(() => partitionsOf(handle)).toThrow('a fault')
  expect(partitionsOf(handle)).toEqual([['orders', 2]])
  handle.close()
})
