/**
 * Whose turn it is to write, when several processes want to: a queue of tickets in a file of its own.
 *
 * SQLite's lock is polled, not queued: of four processes that commit in a tight loop one gets nearly all commits, and a
 * ticket in the log itself would need the very lock that it waits for. So tickets lie beside it, unsynced; the file may be
 * deleted whenever nobody has the log open, and nothing but fairness depends on it.
 *
 * Invariant: who holds a ticket writes after all who took theirs before, or after STALE_MS if those have died.
 */
import type { Clock, Random } from '#system'
import { Database, type Statement } from 'bun:sqlite'

import { numberOf } from './catalog.ts'
import { BUSY_TIMEOUT_MS, isBusy } from './connection.ts'

/** Who waits says so this often, and is taken for dead when it has not for STALE_MS. */
const REFRESH_MS = 50
const STALE_MS = 250

export class WriteTurns {
  readonly #database: Database
  readonly #clock: Clock
  readonly #holder: string
  readonly #others: Statement
  readonly #take: Statement
  readonly #refresh: Statement
  readonly #drop: Statement
  #ticket: number | undefined
  #refreshedAtMs: number = 0

  constructor(logPath: string, { clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock
    this.#holder = random.uuid()
    this.#database = new Database(`${logPath}-turns`, { create: true, strict: true })
    this.#database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS * 20}`)
    this.#database.run('PRAGMA synchronous = OFF')
    this.#database.run('PRAGMA journal_mode = WAL')
    this.#database.run(
      `CREATE TABLE IF NOT EXISTS tickets (
         number INTEGER PRIMARY KEY AUTOINCREMENT, holder TEXT NOT NULL, seen_at_ms INTEGER NOT NULL
       )`,
    )
    this.#database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    this.#others = this.#database.prepare(
      'SELECT number, seen_at_ms FROM tickets WHERE number < ? ORDER BY number LIMIT 1',
    )
    this.#take = this.#database.prepare(
      'INSERT INTO tickets (holder, seen_at_ms) VALUES (?, ?) RETURNING number',
    )
    this.#refresh = this.#database.prepare('UPDATE tickets SET seen_at_ms = ? WHERE number = ?')
    this.#drop = this.#database.prepare('DELETE FROM tickets WHERE number = ?')
  }

  /** True if nobody waits who came before, or if the tickets cannot be read: then there is no queue. */
  isNext(): boolean {
    return this.#orElse({ busy: false, broken: true }, () => {
      const before = this.#others.values(this.#ticket ?? Number.MAX_SAFE_INTEGER)[0]
      if (before === undefined) return true
      // Wall clocks can be set back: a ticket from the future is not refreshed either, if its holder is dead.
      const ageMs = this.#clock.nowMs() - numberOf(before[1])
      if (Math.abs(ageMs) < STALE_MS) return false
      this.#drop.run(numberOf(before[0]))
      return false
    })
  }

  /** Queues, or says that it still waits. */
  wait(): void {
    const nowMs = this.#clock.nowMs()
    this.#orElse({ busy: undefined, broken: undefined }, () => {
      if (this.#ticket === undefined) {
        this.#ticket = numberOf(this.#take.values(this.#holder, nowMs)[0]?.[0])
      } else if (nowMs - this.#refreshedAtMs < REFRESH_MS) {
        return
      } else if (this.#refresh.run(nowMs, this.#ticket).changes === 0) {
        // Taken for dead while the thread was busy: to the end of the queue.
        this.#ticket = undefined
        return
      }
      this.#refreshedAtMs = nowMs
    })
  }

  /** Has written: lets the next one. */
  done(): void {
    if (this.#ticket === undefined) return
    const ticket = this.#ticket
    this.#orElse({ busy: undefined, broken: undefined }, () => {
      this.#drop.run(ticket)
      this.#ticket = undefined
    })
  }

  close(): void {
    this.done()
    this.#database.close(true)
  }

  /** Only fairness depends on the tickets: whatever fails here must not keep anybody from writing. */
  #orElse<T>(otherwise: { readonly busy: T; readonly broken: T }, act: () => T): T {
    try {
      return act()
    } catch (error) {
      if (isBusy(error)) return otherwise.busy
      this.#ticket = undefined
      return otherwise.broken
    }
  }
}
