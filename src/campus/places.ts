/**
 * Where a process of campus keeps its files: its stores, and what its ingress remembers.
 *
 * Invariant: no file is of two logs; and on brokers no ingress file is of two processes, because the outbox in it has one order.
 *
 * State and the ingress's memory lie beside the log: `data/state` and `data/ingress.db` for `data/campus.db`, under the log's
 * own name for another file. A log that is no file leaves them in `data`. Every process on brokers takes a numbered folder below
 * `state`, and the ingress file of that number: `ingress.db`, `ingress-1.db`, …
 */
import { Database } from 'bun:sqlite'
import { basename, dirname, join } from 'node:path'
import { LogError } from '#millrace'

const FILES_MAX = 100

export interface Places {
  readonly folder: string
  readonly state: string
  /** Without its ending: `ingressFileOf` finds the one that is this log's. */
  readonly ingress: string
}

export function placesOf(log: string): Places {
  const path = log.startsWith('sqlite:') ? log.slice('sqlite:'.length) : 'data/campus.db'
  const folder = dirname(path)
  const name = basename(path, '.db')
  const prefix = name === 'campus' ? '' : `${name}-`
  return {
    folder,
    state: join(folder, `${prefix}state`),
    ingress: join(folder, `${prefix}ingress`),
  }
}

/**
 * `stem.db` unless that is another log's; then `stem.2.db`, and so on. `earlierIds`: logs that were migrated to this one, whose
 * retries come here from now on. Their file becomes this log's.
 */
export function ingressFileOf(
  stem: string,
  logId: string,
  earlierIds: readonly string[] = [],
): string {
  for (let number = 1; number <= FILES_MAX; number += 1) {
    const path = number === 1 ? `${stem}.db` : `${stem}.${number}.db`
    if (isOfLog(path, logId, earlierIds)) return path
  }
  throw new LogError('LOG_REFUSED', `${FILES_MAX} files ${stem}.db are of other logs: move them`)
}

function isOfLog(path: string, logId: string, earlierIds: readonly string[]): boolean {
  const database = new Database(path, { create: true, strict: true })
  try {
    database.run('PRAGMA busy_timeout = 5000')
    database.run('PRAGMA journal_mode = WAL')
    const claim = database.transaction((): boolean => {
      database.run('CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL)')
      const query = 'SELECT id FROM log'
      const found = database.query<{ readonly id: string }, []>(query).get()
      if (found === null) database.run('INSERT INTO log VALUES (?)', [logId])
      if (found === null || found.id === logId) return true
      if (!earlierIds.includes(found.id)) return false
      database.run('UPDATE log SET id = ?', [logId])
      return true
    })
    return claim.immediate()
  } finally {
    database.close()
  }
}
