/**
 * The one connection of a process that writes: many requests, one transaction, one sync.
 *
 * Invariant: what a request answers is true of the file; after a COMMIT that failed nobody knows, and everybody is told so.
 */
import type { Clock, Failpoint, Random } from '#system'
import type { Database, Statement } from 'bun:sqlite'

import { LogError } from '../log.ts'
import { Catalog } from './catalog.ts'
import { connect, type Durability, isBusy, setDurability, unavailable } from './connection.ts'
import { GroupSteps } from './group-steps.ts'
import type { WriteKind, WriteReply, WriteRequest } from './write-channel.ts'
import { WriteSteps } from './write-steps.ts'

/** A request that waits for its transaction. */
export interface PendingWrite<K extends WriteKind = WriteKind> {
  readonly kind: K
  readonly request: WriteRequest<K>
  succeed(reply: WriteReply<K>): void
  /** `unknown`: it may have happened all the same. */
  fail(error: LogError, outcome: 'aborted' | 'unknown'): void
}

export class WriterConnection {
  readonly #path: string
  #durability: Durability
  readonly #clock: Clock
  readonly #random: Random
  readonly #failpoint: Failpoint
  /** Undefined before the first transaction and after a failure: the next one opens it. */
  #open: OpenConnection | undefined
  /**
   * A sync has failed. The kernel may by now take pages for clean that never reached the disk, so a later sync that succeeds
   * proves nothing about them: the WAL has to start over, from pages that are synced anew, before anything is acknowledged.
   */
  #doubtsWal: boolean = false

  constructor(options: {
    readonly path: string
    readonly durability: Durability
    readonly clock: Clock
    readonly random: Random
    readonly failpoint: Failpoint
  }) {
    this.#path = options.path
    this.#durability = options.durability
    this.#clock = options.clock
    this.#random = options.random
    this.#failpoint = options.failpoint
  }

  /**
   * Runs all of `writes` in one transaction and tells each how it ended. False, with nothing done, if another process holds
   * the lock. Synchronous from BEGIN to COMMIT, so that what a step has checked still holds when it is written.
   */
  transact(writes: readonly PendingWrite[]): boolean {
    let tell: (() => void)[]
    let commit: Statement
    try {
      this.#open ??= this.#connect()
      if (this.#doubtsWal && !restartWal(this.#open.database)) return false
      this.#doubtsWal = false
      this.#open.begin.run()
    } catch (error) {
      if (isBusy(error)) return false
      this.#fail(writes, unavailable('cannot begin to write', error), 'aborted')
      return true
    }
    try {
      const { catalog, steps } = this.#open
      commit = this.#open.commit
      catalog.refresh()
      tell = writes.map((write) => runStep(steps, write))
    } catch (error) {
      // Closing a connection rolls back what it had begun.
      this.#fail(writes, unavailable('cannot write', error), 'aborted')
      return true
    }
    const isData = writes.some(({ kind }) => kind === 'append' || kind === 'commit')
    if (isData) this.#failpoint('log:before-commit')
    try {
      commit.run()
    } catch (error) {
      this.#doubtsWal = true
      this.#fail(writes, unavailable('the end of a commit is unknown', error), 'unknown')
      return true
    }
    if (isData) this.#failpoint('log:after-commit')
    for (const told of tell) told()
    return true
  }

  /** What is acknowledged from here on is as durable as `durability` says. */
  setDurability(durability: Durability): void {
    this.#durability = durability
    if (this.#open !== undefined) setDurability(this.#open.database, durability)
  }

  close(): void {
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return
    try {
      if (open.database.inTransaction) open.database.run('ROLLBACK')
    } finally {
      // True: without it the statements would keep the connection, and what it has locked, alive.
      open.database.close(true)
    }
  }

  /** Whatever the connection has in memory is not to be trusted any more: it is opened anew. */
  #fail(writes: readonly PendingWrite[], error: LogError, outcome: 'aborted' | 'unknown'): void {
    try {
      this.close()
    } catch {
      this.#open = undefined
    }
    for (const write of writes) write.fail(error, outcome)
  }

  #connect(): OpenConnection {
    const database = connect(this.#path, this.#durability)
    const catalog = new Catalog(database)
    const groups = new GroupSteps(database, this.#clock)
    return {
      database,
      catalog,
      steps: new WriteSteps(database, {
        catalog,
        groups,
        clock: this.#clock,
        random: this.#random,
      }),
      begin: database.prepare('BEGIN IMMEDIATE'),
      commit: database.prepare('COMMIT'),
    }
  }
}

interface OpenConnection {
  readonly database: Database
  readonly catalog: Catalog
  readonly steps: WriteSteps
  readonly begin: Statement
  readonly commit: Statement
}

/** Copies the whole WAL into the file, syncs that, and has the next writer begin a new one; false while readers use it. */
function restartWal(database: Database): boolean {
  return database.query('PRAGMA wal_checkpoint(RESTART)').values()[0]?.[0] === 0
}

/** Runs a step; the answer waits for the COMMIT. Only what is not a refusal is thrown. */
function runStep<K extends WriteKind>(steps: WriteSteps, write: PendingWrite<K>): () => void {
  try {
    const reply = steps.run(write.kind, write.request)
    return () => write.succeed(reply)
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    return () => write.fail(error, 'aborted')
  }
}
