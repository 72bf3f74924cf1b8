/**
 * Remembers what the ingress answered, in `data/ingress.db`: a retry, also after a crash, gets the first answer again.
 *
 * Invariant: an order is written here before it is appended, so a retry appends the same bytes and dedupe drops them.
 *
 * It is not synced on every write: `kill -9` loses nothing; after a power cut a retry may get a later timestamp, under the
 * same order id, and dedupe still drops it.
 */
import { Database, type Statement } from 'bun:sqlite'
import type { Order } from './schemas.ts'

/** An order as it was accepted; `request` is undefined for one without an idempotency key. */
export interface AcceptedOrder {
  readonly order: Order
  readonly request: { readonly key: string; readonly bodyHash: string } | undefined
}

/** What is kept under an idempotency key; `sameBody` false is a conflict. */
export interface Remembered {
  readonly order: Order
  readonly sameBody: boolean
}

interface Row {
  readonly body_hash: string | null
  readonly answer: string
}

const KEPT_MS = 86_400_000
const FORMAT = 1

export class Requests {
  readonly #database: Database
  readonly #statements: readonly Statement[]
  readonly #rememberAll: (accepted: readonly AcceptedOrder[]) => readonly Remembered[]

  constructor(path: string) {
    const database = new Database(path, { create: true, strict: true })
    this.#database = database
    database.run('PRAGMA journal_mode = WAL')
    database.run('PRAGMA synchronous = NORMAL')
    database.run(`CREATE TABLE IF NOT EXISTS accepted (
      order_id TEXT PRIMARY KEY, key TEXT UNIQUE, body_hash TEXT,
      placed_ms INTEGER NOT NULL, answer TEXT NOT NULL)`)
    database.run('CREATE INDEX IF NOT EXISTS accepted_by_time ON accepted (placed_ms)')
    database.run(`PRAGMA user_version = ${FORMAT}`)
    const insert = database.prepare<void, [string, string | null, string | null, number, string]>(
      'INSERT INTO accepted VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    )
    const find = database.prepare<Row, [string, string | null]>(
      'SELECT body_hash, answer FROM accepted WHERE order_id = ? OR key = ?',
    )
    this.#statements = [insert, find]
    this.#rememberAll = database.transaction((accepted: readonly AcceptedOrder[]) =>
      accepted.map(({ order, request }): Remembered => {
        const { order_id, timestamp } = order
        const [key, bodyHash] = [request?.key ?? null, request?.bodyHash ?? null]
        const { changes } = insert.run(order_id, key, bodyHash, timestamp, JSON.stringify(order))
        if (changes === 1) return { order, sameBody: true }
        const row = find.get(order_id, key)
        if (row === null) return { order, sameBody: true }
        return { order: JSON.parse(row.answer) as Order, sameBody: row.body_hash === bodyHash }
      }),
    )
  }

  /** All in one transaction. Answers what is kept: the first order of a key, also when another process was first. */
  rememberAll(accepted: readonly AcceptedOrder[]): readonly Remembered[] {
    return this.#rememberAll(accepted)
  }

  /** What was answered to this idempotency key; `sameBody` tells a retry from a conflict. */
  findByKey(key: string, bodyHash: string): Remembered | undefined {
    const row = this.#database
      .query<Row, [string]>('SELECT body_hash, answer FROM accepted WHERE key = ?')
      .get(key)
    if (row === null) return undefined
    return { order: JSON.parse(row.answer) as Order, sameBody: row.body_hash === bodyHash }
  }

  findByOrderId(orderId: string): Order | undefined {
    const row = this.#database
      .query<Row, [string]>('SELECT body_hash, answer FROM accepted WHERE order_id = ?')
      .get(orderId)
    return row === null ? undefined : (JSON.parse(row.answer) as Order)
  }

  /** Forgets what dedupe has forgotten too; at most `rowsMax` rows, so that nobody waits for it. */
  forget(nowMs: number, rowsMax: number): void {
    this.#database
      .query(
        'DELETE FROM accepted WHERE rowid IN (SELECT rowid FROM accepted WHERE placed_ms < ? LIMIT ?)',
      )
      .run(nowMs - KEPT_MS, rowsMax)
  }

  /** True to `close`: without it a statement that nobody has collected yet would keep the file and its lock. */
  close(): void {
    for (const statement of this.#statements) statement.finalize()
    this.#database.close(true)
  }
}
