import { systemClock as clock, systemRandom as random } from '#system'
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'

import { LogError } from '../log.ts'
import { coded } from '../log.contract/harness.ts'
import { openSqliteLog, type SqliteLogOptions } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'
import { networkFileSystem } from './log-file.ts'
import { FORMAT } from './schema.ts'

const newPath = logFiles()

async function refusal(path: string, options: Partial<SqliteLogOptions> = {}): Promise<string> {
  const opening = openSqliteLog(path, { clock, random, ...options })
  const error = await opening.then(
    async (log) => {
      await log.close()
      throw new Error(`${path} was opened`)
    },
    (error: unknown) => error,
  )
  expect(error).toEqual(coded('LOG_REFUSED'))
  return error instanceof LogError ? error.message : ''
}

/** Everything about a file that a driver could change, and its neighbours. */
const stateOf = (path: string): unknown => [
  readFileSync(path),
  statSync(path).mtimeMs,
  readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path))),
]

function sqliteFile(path: string, ...statements: readonly string[]): void {
  const database = new Database(path, { create: true })
  for (const statement of statements) database.run(statement)
  database.close()
}

describe('a log file is refused in one line that says how to mend it, and left as it is, when it', () => {
  test.each([
    ['is text', (path: string) => writeFileSync(path, 'to whom it may concern\n'.repeat(99))],
    ['is empty', (path: string) => writeFileSync(path, '')],
    ['is a database of somebody else', (path: string) => sqliteFile(path, 'CREATE TABLE t (a)')],
    [
      'is one in WAL mode',
      (path: string) => sqliteFile(path, 'PRAGMA journal_mode = WAL', 'CREATE TABLE t (a)'),
    ],
    [
      'is one that has our version but not our mark',
      (path: string) => sqliteFile(path, 'PRAGMA user_version = 1', 'CREATE TABLE topics (a)'),
    ],
  ])('%s', async (_, make) => {
    const path = newPath('foreign')
    make(path)
    const before = stateOf(path)
    const message = await refusal(path)
    expect(message).toContain(path)
    expect(message).toMatch(/not a Millrace log: choose another path|empty file: remove it/)
    expect(message).not.toContain('\n')
    expect(stateOf(path)).toEqual(before)
  })

  test('has a newer format', async () => {
    const path = newPath()
    await (await openSqliteLog(path, { clock, random })).close()
    sqliteFile(path, `PRAGMA user_version = ${FORMAT + 1}`, 'PRAGMA wal_checkpoint(TRUNCATE)')
    const before = stateOf(path)
    expect(await refusal(path)).toContain(
      `its format is ${FORMAT + 1}, this version reads ${FORMAT}`,
    )
    expect(stateOf(path)).toEqual(before)
  })

  test('is a folder, or lies below a file', async () => {
    const path = newPath()
    mkdirSync(path)
    expect(await refusal(path)).toContain('not a file: choose')
    const file = newPath()
    writeFileSync(file, 'text')
    expect(await refusal(`${file}/log.db`)).toContain('its folder cannot be made')
  })

  test('cannot be created', async () => {
    // Root may write everywhere, but nobody makes files in there.
    expect(await refusal('/proc/campus.db')).toContain('it cannot be created')
  })

  test('does not exist and should', async () => {
    const path = newPath()
    expect(await refusal(path, { create: false })).toContain('it does not exist: check the path')
    expect(readdirSync(dirname(path))).not.toContain(basename(path))
  })

  test('is damaged where SQLite needs it', async () => {
    const path = newPath()
    await (await openSqliteLog(path, { clock, random })).close()
    const bytes = readFileSync(path)
    bytes.fill(0xff, 100, 4_096)
    writeFileSync(path, bytes)
    expect(await refusal(path)).toContain('restore it from a copy')
  })

  test('lies on a network file system', () => {
    expect(networkFileSystem(0x6969)).toBe('NFS')
    // A negative number is what a signed field makes of a large one.
    expect(networkFileSystem(0xff534d42 | 0)).toBe('CIFS')
    expect(networkFileSystem(0xef53)).toBeUndefined()
  })
})

test('of many who make a log at once one makes it, and all get the same', async () => {
  const path = newPath('nested/folder/log')
  const logs = await Promise.all([1, 2, 3].map(() => openSqliteLog(path, { clock, random })))
  expect(new Set(logs.map(({ id }) => id)).size).toBe(1)
  await Promise.all(logs.map((log) => log.close()))
  const left = readdirSync(dirname(path)).filter((name) => name.includes('-new-'))
  expect(left).toEqual([])
})

test('another file is another log', async () => {
  const logs = await Promise.all([1, 2].map(() => openSqliteLog(newPath(), { clock, random })))
  expect(new Set(logs.map(({ id }) => id)).size).toBe(2)
  await Promise.all(logs.map((log) => log.close()))
})
