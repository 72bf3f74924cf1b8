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
import { existsSync, renameSync } from 'node:fs'
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

/** `stem.db` unless that is another log's; then `stem.2.db`, and so on. */
export function ingressFileOf(stem: string, logId: string): string {
  for (let number = 1; number <= FILES_MAX; number += 1) {
    const path = number === 1 ? `${stem}.db` : `${stem}.${number}.db`
    if (claim(path, (id) => id === undefined || id === logId, logId)) return path
  }
  throw new LogError('LOG_REFUSED', `${FILES_MAX} files ${stem}.db are of other logs: move them`)
}

/**
 * Gives what was remembered beside a log that was migrated to this one to the process whose files are `stem`, unless that has
 * its own: retries of what was ordered there come here from now on. `base` is what the names of all such files begin with.
 */
export function inheritIngressFile(
  { base, stem }: { readonly base: string; readonly stem: string },
  logId: string,
  earlierIds: readonly string[],
): void {
  const isEarlier = (id: string | undefined): boolean => id !== undefined && earlierIds.includes(id)
  for (let number = 0; number < FILES_MAX; number += 1) {
    const path = number === 0 ? `${base}.db` : `${base}-${number}.db`
    if (!existsSync(path) || (path !== `${stem}.db` && existsSync(`${stem}.db`))) continue
    // Closing it leaves one file, with nothing beside it that a new name would cut off.
    if (!claim(path, isEarlier, logId)) continue
    if (path !== `${stem}.db`) renameSync(path, `${stem}.db`)
    return
  }
}

/** Makes the file this log's if whose it is now, undefined for nobody's, is good enough. */
function claim(path: string, isGood: (id: string | undefined) => boolean, logId: string): boolean {
  const database = new Database(path, { create: true, strict: true })
  try {
    database.run('PRAGMA busy_timeout = 5000')
    database.run('PRAGMA journal_mode = WAL')
    const transaction = database.transaction((): boolean => {
      database.run('CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL)')
      const query = 'SELECT id FROM log'
      const found = database.query<{ readonly id: string }, []>(query).get()?.id
      if (!isGood(found)) return false
      if (found === undefined) database.run('INSERT INTO log VALUES (?)', [logId])
      else database.run('UPDATE log SET id = ?', [logId])
      return true
    })
    return transaction.immediate()
  } finally {
    database.close()
  }
}
