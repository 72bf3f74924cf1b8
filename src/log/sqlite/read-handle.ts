/**
 * One thread's own connection for reading, with what it knows of the topics.
 *
 * Invariant: a read begins and ends within one synchronous call, so no snapshot is ever held while others wait (R17).
 */
import type { Clock, Random } from '#system'
import { type Database, SQLiteError, type Statement } from 'bun:sqlite'

import { LogError } from '../log.ts'
import { Catalog } from './catalog.ts'
import { ChangeSignal } from './change-signal.ts'
import { connect, isBusy, unavailable, untilFree } from './connection.ts'

export class ReadHandle {
  readonly database: Database
  readonly catalog: Catalog
  readonly signal: ChangeSignal
  readonly clock: Clock
  readonly #begin: Statement
  readonly #end: Statement
  #closed: boolean = false

  constructor(path: string, options: { readonly clock: Clock; readonly random: Random }) {
    this.database = connect(path, 'process')
    this.database.run('PRAGMA query_only = 1')
    this.catalog = new Catalog(this.database)
    this.clock = options.clock
    this.signal = new ChangeSignal(() => this.catalog.dataVersion(), options.clock, options.random)
    this.#begin = this.database.prepare('BEGIN')
    this.#end = this.database.prepare('COMMIT')
  }

  get isClosed(): boolean {
    return this.#closed
  }

  assertOpen(): void {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the log is closed')
  }

  /** As `read`, and waits while another process recovers the file. */
  readSoon<T>(look: (seen: number) => T): Promise<T> {
    return untilFree(this.clock, () => this.read(look))
  }

  /**
   * Reads from one snapshot, the catalog too; `seen` is its data version. What SQLite throws is LOG_UNAVAILABLE, but for
   * SQLITE_BUSY, which is the caller's to wait out.
   */
  read<T>(look: (seen: number) => T): T {
    this.assertOpen()
    try {
      this.#begin.run()
      try {
        // The first statement after BEGIN takes the snapshot, and what this one returns is its version.
        return look(this.catalog.refresh())
      } finally {
        this.#endRead()
      }
    } catch (error) {
      if (error instanceof SQLiteError && !isBusy(error))
        throw unavailable('cannot read the log', error)
      throw error
    }
  }

  /** After a damaged page COMMIT says so once more, and leaves the snapshot open. */
  #endRead(): void {
    try {
      this.#end.run()
    } catch {
      if (this.database.inTransaction) this.database.run('ROLLBACK')
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.signal.close()
    // True: without it the statements would keep the connection, and what it has locked, alive.
    this.database.close(true)
  }
}
