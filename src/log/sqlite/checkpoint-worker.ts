/**
 * The thread that copies the WAL into the log file, so that no event loop waits for it.
 *
 * Invariant: it takes no lock that a writer waits for (a PASSIVE checkpoint), and holds none when it is not asked.
 */
import { connect } from './connection.ts'

declare const self: Worker

/** `path` comes first; `checkpoint` is answered with what it found; after `close` the thread ends. */
export type ToCheckpointer =
  { readonly path: string } | { readonly checkpoint: true } | { readonly close: true }

export interface Checkpointed {
  /** Pages in the WAL; −1 if the checkpoint failed. */
  readonly walPages: number
}

let database: ReturnType<typeof connect> | undefined

self.onmessage = (event: MessageEvent) => {
  const message: ToCheckpointer = event.data
  if ('path' in message) {
    // NORMAL: the file is synced before the WAL starts over.
    database = connect(message.path, 'process')
  } else if ('checkpoint' in message) {
    self.postMessage({ walPages: checkpoint() } satisfies Checkpointed)
  } else {
    database?.close()
    process.exit()
  }
}

function checkpoint(): number {
  try {
    const row = database?.query('PRAGMA wal_checkpoint(PASSIVE)').values()[0]
    return typeof row?.[1] === 'number' ? row[1] : -1
  } catch {
    // A full or failing disk: the writer meets it too, and tells.
    return -1
  }
}
