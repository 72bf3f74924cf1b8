/**
 * Opens the log that a command names, or says in one line why not.
 *
 * Invariant: looking at a log never creates one.
 */
import { existsSync } from 'node:fs'
import { openLog, type Log } from '#log'
import { systemClock, systemRandom } from '#system'

/** A mistake of the person at the keyboard: one line and exit code 2, no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const DEFAULT_LOG = 'sqlite:data/campus.db'

/** Runs `use` on the log at `url` and closes it, whatever happens. */
export async function withLog<T>(url: string, use: (log: Log) => Promise<T>): Promise<T> {
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : undefined
  if (path !== undefined && !existsSync(path))
    throw new UsageError(
      `there is no log at ${path}: start the application, or name another with --log`,
    )
  const log = await openLog(url, { clock: systemClock, random: systemRandom })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}
