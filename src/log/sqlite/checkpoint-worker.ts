/**
 * The thread that copies the WAL into the log file, so that no event loop waits for it.
 *
 * Invariant: it holds no lock when it is not asked; while it makes the WAL start over, writers find the log busy and come
 * back, as they do for another process (R17).
 */
import { connect } from './connection.ts'

declare const self: Worker

/** `path` comes first; `checkpoint` is answered when it is done; after `close` the thread ends. */
export type ToCheckpointer =
  { readonly path: string } | { readonly checkpoint: true } | { readonly close: true }

/** A checkpoint beside a busy writer never catches up with it, and the WAL grows: from here on the writer has to wait. */
const RESTART_PAGES = 67_108_864 / 4_096
/** How long to wait for the writers' lock, and then for readers, to make it start over. */
const RESTART_WAIT_MS = 200

let database: ReturnType<typeof connect> | undefined

self.onmessage = (event: MessageEvent) => {
  const message: ToCheckpointer = event.data
  if ('path' in message) {
    database = connect(message.path, 'process')
    database.run(`PRAGMA busy_timeout = ${RESTART_WAIT_MS}`)
  } else if ('checkpoint' in message) {
    checkpoint()
    self.postMessage('done')
  } else {
    database?.close(true)
    process.exit()
  }
}

function checkpoint(): void {
  try {
    const [, walPages] = database?.query('PRAGMA wal_checkpoint(PASSIVE)').values()[0] ?? []
    if (Number(walPages) >= RESTART_PAGES) database?.run('PRAGMA wal_checkpoint(RESTART)')
  } catch {
    // A full or failing disk: the writer meets it too, and tells.
  }
}
