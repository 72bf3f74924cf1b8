/**
 * The thread that copies the WAL into the log file, so that no event loop waits for it.
 *
 * Invariant: it holds no lock when it is not asked; while it makes the WAL start over, its own process writes nothing, and
 * others find the log busy and come back (R17).
 */
import { connect } from './connection.ts'

declare const self: Worker

/** `path` comes first; `checkpoint` and `restart` are answered when they are done; after `close` the thread ends. */
export type ToCheckpointer =
  | { readonly path: string }
  | { readonly checkpoint: true }
  | { readonly restart: true }
  | { readonly close: true }

/** How many pages the WAL has; 0 if that is not known, or nothing is left to do about it. */
export type FromCheckpointer = number

/** How long to wait for the writers' lock, and then for readers, to make it start over. */
const RESTART_WAIT_MS = 200

let database: ReturnType<typeof connect> | undefined

self.onmessage = (event: MessageEvent) => {
  const message: ToCheckpointer = event.data
  if ('path' in message) {
    database = connect(message.path, 'process')
    database.run(`PRAGMA busy_timeout = ${RESTART_WAIT_MS}`)
  } else if ('checkpoint' in message) {
    self.postMessage(checkpoint('PASSIVE') satisfies FromCheckpointer)
  } else if ('restart' in message) {
    checkpoint('RESTART')
    self.postMessage(0 satisfies FromCheckpointer)
  } else {
    database?.close(true)
    process.exit()
  }
}

function checkpoint(mode: 'PASSIVE' | 'RESTART'): number {
  try {
    const walPages = database?.query(`PRAGMA wal_checkpoint(${mode})`).values()[0]?.[1]
    return typeof walPages === 'number' ? walPages : 0
  } catch {
    // A full or failing disk: the writer meets it too, and tells.
    return 0
  }
}
