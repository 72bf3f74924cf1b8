/**
 * Orders that wait on this disk while brokers do not answer, in `data/ingress.db` beside what the ingress remembers.
 *
 * Invariant: an order is here from before its 202 until the log has acknowledged it, and leaves in the order in which it came.
 *
 * Every write is synced: a 202 that says `durable: "local"` survives a power cut, as far as this disk does.
 */
import { Database } from 'bun:sqlite'
import type { Order } from './schemas.ts'

interface Row {
  readonly content: string
}

const BUSY_MS = 5_000

export class Outbox {
  readonly #database: Database
  readonly #ordersMax: number
  readonly #statements: readonly { finalize(): void }[]
  readonly #add: (partition: number, orders: readonly Order[]) => number
  readonly #remove: (orders: readonly Order[]) => void
  #count: number

  constructor(path: string, ordersMax: number) {
    const database = new Database(path, { create: true, strict: true })
    this.#database = database
    this.#ordersMax = ordersMax
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`)
    database.run('PRAGMA journal_mode = WAL')
    database.run('PRAGMA synchronous = FULL')
    database.run(`CREATE TABLE IF NOT EXISTS outbox (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT NOT NULL UNIQUE,
      partition INTEGER NOT NULL, content TEXT NOT NULL)`)
    database.run('CREATE INDEX IF NOT EXISTS outbox_by_partition ON outbox (partition, sequence)')
    const counted = database.query<{ readonly n: number }, []>('SELECT COUNT(*) AS n FROM outbox')
    this.#count = counted.get()?.n ?? 0

    const insert = database.prepare<void, [string, number, string]>(
      'INSERT INTO outbox (order_id, partition, content) VALUES (?, ?, ?)',
    )
    const find = database.prepare<unknown, [string]>('SELECT 1 FROM outbox WHERE order_id = ?')
    this.#add = database.transaction((partition: number, orders: readonly Order[]) => {
      for (const [index, order] of orders.entries()) {
        if (find.get(order.order_id) !== null) continue
        if (this.#count >= this.#ordersMax) return index
        insert.run(order.order_id, partition, JSON.stringify(order))
        this.#count += 1
      }
      return orders.length
    })
    const remove = database.prepare<void, [string]>('DELETE FROM outbox WHERE order_id = ?')
    this.#statements = [insert, find, remove]
    this.#remove = database.transaction((orders: readonly Order[]) => {
      for (const { order_id } of orders) this.#count -= remove.run(order_id).changes
    })
  }

  get count(): number {
    return this.#count
  }

  /** Keeps these orders, or as many of the first ones as there is room for; says how many of them are here now. */
  add(partition: number, orders: readonly Order[]): number {
    return this.#add(partition, orders)
  }

  /** The orders of a partition that have waited longest. */
  first(partition: number, ordersMax: number): readonly Order[] {
    return this.#database
      .query<Row, [number, number]>(
        'SELECT content FROM outbox WHERE partition = ? ORDER BY sequence LIMIT ?',
      )
      .all(partition, ordersMax)
      .map(({ content }) => JSON.parse(content) as Order)
  }

  isEmpty(partition: number): boolean {
    const query = 'SELECT 1 FROM outbox WHERE partition = ? LIMIT 1'
    return this.#database.query<unknown, [number]>(query).get(partition) === null
  }

  remove(orders: readonly Order[]): void {
    this.#remove(orders)
  }

  /** True to `close`: without it a statement that nobody has collected yet would keep the file and its lock. */
  close(): void {
    for (const statement of this.#statements) statement.finalize()
    this.#database.close(true)
  }
}
