/**
 * A connection to the log file, and what its errors mean.
 *
 * Invariant: no connection of a log waits longer than BUSY_TIMEOUT_MS for another process inside one call (R17).
 */
import { type Clock, delay } from '#system'
import { Database, SQLiteError } from 'bun:sqlite'

import { LogError } from '../log.ts'

/** `power`: an acknowledged write survives a power cut. `process`: it survives the end of the process only. */
export type Durability = 'power' | 'process'

export const BUSY_TIMEOUT_MS = 5
const OPEN_WAIT_MS = 10_000

export function connect(path: string, durability: Durability): Database {
  const database = new Database(path, { readwrite: true, create: false, strict: true })
  database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  setDurability(database, durability)
  // Checkpoints have their own thread.
  database.run('PRAGMA wal_autocheckpoint = 0')
  return database
}

/** FULL syncs the WAL at every COMMIT, NORMAL only at a checkpoint. */
export function setDurability(database: Database, durability: Durability): void {
  database.run(`PRAGMA synchronous = ${durability === 'power' ? 'FULL' : 'NORMAL'}`)
}

/** Another connection holds the lock that was asked for. */
export function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && (error.code ?? '').startsWith('SQLITE_BUSY')
}

/** Pages of the file do not make sense to SQLite. */
export function isCorrupt(error: unknown): error is SQLiteError {
  return error instanceof SQLiteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code ?? '')
}

/** What the caller of the log is told when SQLite fails. */
export function unavailable(doing: string, error: unknown): LogError {
  if (error instanceof LogError) return error
  const message = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  if (isCorrupt(error)) return new LogError('LOG_CORRUPT', message, { cause: error })
  // What is not SQLite's is our own mistake: trying again would only repeat it.
  const retriable = error instanceof SQLiteError
  return new LogError('LOG_UNAVAILABLE', message, { retriable, cause: error })
}

/** Another process may be recovering or closing the file just now, which takes it a moment. */
export async function untilFree<T>(clock: Clock, connecting: () => T): Promise<T> {
  const deadlineMs = clock.elapsedMs() + OPEN_WAIT_MS
  while (true) {
    try {
      return connecting()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (clock.elapsedMs() >= deadlineMs) throw unavailable('another process holds the log', error)
      await delay(clock, BUSY_TIMEOUT_MS)
    }
  }
}
