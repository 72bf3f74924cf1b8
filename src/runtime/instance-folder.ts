/**
 * The folder in which one process keeps its stores, `<state folder>/<n>`, and the id that lives there (R23).
 *
 * The lowest free number is taken. A folder is held by a database in it that is open in exclusive locking mode: the operating
 * system lets go of that lock when the process dies, however it dies. The applications of one process share its folder, each
 * once, so that an application finds its state again after a restart, whatever the order in which they start. A folder is of one
 * log: on another log the same program starts anew elsewhere, and finds its state again when it comes back.
 *
 * Invariant: two processes never hold one folder, one id never belongs to two folders, and no folder to two logs.
 */
import type { Database } from 'bun:sqlite'
import { mkdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LogError } from '#log'
import { assert, type Random } from '#system'

const FOLDERS_MAX = 1_000

export interface StatePlace {
  readonly stateDir: string
  readonly logId: string
}

export interface InstanceFolder {
  readonly path: string
  readonly instanceId: string
  /** Tasks of the application whose state is here, and how far each was when it was last told. */
  heldBefore(): Readonly<Record<string, number>>
  remember(positions: Readonly<Record<string, number>>): void
  /** Lets go of it; the last application of the process unlocks it. */
  release(): void
}

interface Held {
  readonly path: string
  readonly database: Database
  readonly instanceId: string
  readonly logId: string
  readonly applications: Set<string>
}

/** Of this process: a second lock on the same file by one process would not be seen by every file system. */
const heldByThisProcess = new Map<string, Held>()

export async function takeInstanceFolder(
  { stateDir, logId }: StatePlace,
  applicationId: string,
  random: Random,
): Promise<InstanceFolder> {
  // Loaded here, so that the door of the runtime needs no database.
  const sqlite = await import('bun:sqlite')
  mkdirSync(stateDir, { recursive: true })
  const root = realpathSync(stateDir)
  for (const held of heldByThisProcess.values()) {
    if (dirname(held.path) !== root || held.logId !== logId) continue
    if (held.applications.has(applicationId)) continue
    held.applications.add(applicationId)
    return folderOf(held, applicationId)
  }
  for (let number = 0; number < FOLDERS_MAX; number += 1) {
    const path = join(root, String(number))
    if (heldByThisProcess.has(path)) continue
    const held = lock(path, logId, random, (file) => new sqlite.Database(file))
    if (held === undefined) continue
    heldByThisProcess.set(path, held)
    held.applications.add(applicationId)
    return folderOf(held, applicationId)
  }
  throw new LogError('LOG_REFUSED', `all ${FOLDERS_MAX} folders below ${root} are taken`)
}

/** Undefined: another process has it, or it is of another log. */
function lock(
  path: string,
  logId: string,
  random: Random,
  open: (file: string) => Database,
): Held | undefined {
  mkdirSync(path, { recursive: true })
  const database = open(join(path, 'instance.db'))
  try {
    database.run('PRAGMA locking_mode = EXCLUSIVE')
    database.run('PRAGMA busy_timeout = 0')
    database.run('BEGIN IMMEDIATE')
    database.run('CREATE TABLE IF NOT EXISTS instance (id TEXT NOT NULL)')
    database.run('CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL)')
    database.run(
      'CREATE TABLE IF NOT EXISTS held (application TEXT PRIMARY KEY, positions TEXT NOT NULL)',
    )
    const log = textOf(database.query('SELECT id AS text FROM log').get())
    if (log === undefined) database.run('INSERT INTO log VALUES (?)', [logId])
    const isOfAnotherLog = log !== undefined && log !== logId
    const found = textOf(database.query('SELECT id AS text FROM instance').get())
    const instanceId = found ?? random.uuid()
    if (found === undefined) database.run('INSERT INTO instance VALUES (?)', [instanceId])
    // A write, so that the lock is exclusive from here on even if nothing above wrote.
    database.run('PRAGMA user_version = 1')
    database.run('COMMIT')
    if (isOfAnotherLog) {
      database.close()
      return undefined
    }
    return { path, database, instanceId, logId, applications: new Set() }
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

function folderOf(held: Held, applicationId: string): InstanceFolder {
  const { path, instanceId, database } = held
  let isReleased = false
  return {
    path,
    instanceId,
    heldBefore() {
      const row = database
        .query('SELECT positions AS text FROM held WHERE application = ?')
        .get(applicationId)
      return parsePositions(textOf(row))
    },
    remember(positions) {
      if (isReleased) return
      const all = JSON.stringify({ ...this.heldBefore(), ...positions })
      database.run('INSERT OR REPLACE INTO held VALUES (?, ?)', [applicationId, all])
    },
    release() {
      assert(!isReleased, 'a folder is released once')
      isReleased = true
      held.applications.delete(applicationId)
      if (held.applications.size > 0) return
      heldByThisProcess.delete(path)
      database.close()
    },
  }
}

function textOf(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || !('text' in row)) return undefined
  return typeof row.text === 'string' ? row.text : undefined
}

function parsePositions(text: string | undefined): Readonly<Record<string, number>> {
  const value: unknown = text === undefined ? {} : JSON.parse(text)
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).filter(([, position]) => typeof position === 'number'),
  )
}

function isBusy(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY')
}
