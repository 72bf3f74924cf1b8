/**
 * Stores in SQLite, a file each: ranges at once and the fastest single reads, for writes at a third of LevelDB's rate.
 *
 * Invariant: an `apply` is one SQLite transaction, and the connection is the only one there is: what it reads is what the last
 * transaction left.
 *
 * WAL with `synchronous = NORMAL`: after a power cut the file is an earlier state of itself, whole, and the changelog has the
 * rest (R8). Transactions are sorted by key, which is twice as fast as the order of arrival once they are large.
 */
import { Database, SQLiteError, type Statement } from 'bun:sqlite'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { assert } from '#system'
import { bytesToText, keyAfter } from './bytes.ts'
import { RowSample } from './row-sample.ts'
import { storeFolder } from './store-folder.ts'
import { decodeStoreHeader, encodeStoreHeader, newerFormat } from './store-header.ts'
import {
  STORE_FORMAT,
  StateError,
  type OpenedStore,
  type OrderedStore,
  type ScanOptions,
  type StoreBackend,
  type StoreChange,
  type StoreEntry,
  type StoreHeader,
  type StoreLocation,
  type WipedStore,
} from './store.ts'

export interface SqliteBackendOptions {
  readonly folder: string
  /** Memory for pages, in each store. */
  readonly cacheBytes?: number
}

const FILE = 'store.sqlite'
/** In the file's header, `MRst`: tells our stores from other people's databases. */
const APPLICATION_ID = 0x4d527374
/**
 * The write-ahead log is copied back when it has 8 MiB, and cut to that after a large restore. Copying holds the thread: of twice
 * as much for 60 ms.
 */
const CHECKPOINT_PAGES = 2_000
const WAL_BYTES = 8 * 1024 * 1024
/** Below it sorting costs more than it saves. */
const SORT_FROM_CHANGES = 256

export function sqliteBackend(options: SqliteBackendOptions): StoreBackend {
  return new SqliteBackend(options)
}

class SqliteBackend implements StoreBackend {
  readonly kind = 'sqlite' as const
  readonly ordered = true
  /** Half a second a transaction; half as many rows cost a quarter of the rate, a fifth as many half of it. */
  readonly restoreBatchRows: number = 100_000
  /** 5 to 10 ms, and 40 with a checkpoint. */
  readonly restoreSliceRows: number = 500
  readonly #options: SqliteBackendOptions
  /** What a store found broken while it was open; its file is removed before it is opened again. */
  readonly #damaged = new Map<string, string>()

  constructor(options: SqliteBackendOptions) {
    this.#options = options
  }

  async open(location: StoreLocation): Promise<OpenedStore> {
    const path = storeFolder(this.#options.folder, location)
    assertOurs(path)
    let wiped: WipedStore | undefined
    const known = this.#damaged.get(path)
    if (known !== undefined) {
      removeFiles(path)
      this.#damaged.delete(path)
      wiped = { reason: 'damaged', text: known }
    }
    let database: Database
    try {
      database = this.#openDatabase(path)
    } catch (error) {
      if (!isDamage(error)) throw openError(path, error)
      removeFiles(path)
      wiped = { reason: 'damaged', text: `${path}: ${reason(error)}` }
      database = this.#openDatabase(path)
    }
    const onDamage = (text: string): unknown => this.#damaged.set(path, text)
    return { store: new SqliteStore(database, path, onDamage), wiped }
  }

  async wipe(location: StoreLocation): Promise<void> {
    const path = storeFolder(this.#options.folder, location)
    if (!existsSync(path)) return
    assertOurs(path)
    try {
      this.#openDatabase(path).close(true)
    } catch (error) {
      if (openError(path, error).code === 'STORE_LOCKED') throw openError(path, error)
    }
    this.#damaged.delete(path)
    removeFiles(path)
  }

  /** The one connection, with the file locked for as long as it lives. */
  #openDatabase(path: string): Database {
    mkdirSync(path, { recursive: true })
    const database = new Database(`${path}/${FILE}`, { create: true, strict: true })
    try {
      const cacheKib = Math.ceil((this.#options.cacheBytes ?? 8 * 1024 * 1024) / 1024)
      database.run(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -${cacheKib}`)
      const isNew = pragma(database, 'schema_version') === 0
      const format = pragma(database, 'user_version')
      if (!isNew && pragma(database, 'application_id') !== APPLICATION_ID) throw notAStore(path)
      if (!isNew && format !== STORE_FORMAT) throw newerFormat(path, format)
      database.run(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
        PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${WAL_BYTES}`,
      )
      if (isNew) database.run(SCHEMA)
      return database
    } catch (error) {
      database.close()
      throw error
    }
  }
}

const SCHEMA = `
  BEGIN IMMEDIATE;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${STORE_FORMAT};
  CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE about (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
  COMMIT`

class SqliteStore implements OrderedStore {
  readonly ordered = true as const
  readonly #database: Database
  readonly #path: string
  readonly #onDamage: (text: string) => void
  readonly #sample: RowSample
  readonly #get: Statement<{ value: Uint8Array }, [Uint8Array]>
  readonly #put: Statement<unknown, [Uint8Array, Uint8Array]>
  readonly #remove: Statement<unknown, [Uint8Array]>
  readonly #tell: Statement<unknown, [string, Uint8Array]>
  #header: StoreHeader | undefined
  #refusal: StateError | undefined

  constructor(database: Database, path: string, onDamage: (text: string) => void) {
    this.#database = database
    this.#path = path
    this.#onDamage = onDamage
    this.#get = database.prepare('SELECT value FROM rows WHERE key = ?')
    this.#put = database.prepare(
      'INSERT INTO rows VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    )
    this.#remove = database.prepare('DELETE FROM rows WHERE key = ?')
    this.#tell = database.prepare('INSERT OR REPLACE INTO about VALUES (?, ?)')
    const header = this.#told('header')
    if (header !== undefined) this.#header = decodeStoreHeader(header, path)
    this.#sample = new RowSample(this.#told('sample'))
  }

  header(): StoreHeader | undefined {
    this.#assertUsable()
    return this.#header
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#refusal !== undefined) throw this.#refusal
    try {
      return this.#get.get(key)?.value
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  async apply(changes: readonly StoreChange[], header: StoreHeader): Promise<void> {
    this.#assertUsable()
    try {
      const headerBytes = encodeStoreHeader(header)
      const sorted = changes.length < SORT_FROM_CHANGES ? changes : sortedByKey(changes)
      this.#database.run('BEGIN IMMEDIATE')
      for (const change of sorted) {
        const { key, value } = change
        if (value === null) this.#remove.run(key)
        else this.#put.run(key, value)
        this.#sample.add(change)
      }
      this.#tell.run('header', headerBytes)
      if (this.#sample.isDue) this.#tell.run('sample', this.#sample.encode())
      this.#database.run('COMMIT')
      this.#header = decodeStoreHeader(headerBytes, this.#path)
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  async *scan(options: ScanOptions = {}): AsyncGenerator<readonly StoreEntry[]> {
    const { chunkRows = 1_000 } = options
    let rest = options
    for (;;) {
      const rows = this.range({ ...rest, rowsMax: chunkRows })
      if (rows.length > 0) yield rows
      const last = rows.at(-1)
      if (last === undefined || rows.length < chunkRows) return
      rest =
        rest.reverse === true ? { ...rest, to: last.key } : { ...rest, from: keyAfter(last.key) }
    }
  }

  range(options: ScanOptions & { readonly rowsMax?: number }): readonly StoreEntry[] {
    this.#assertUsable()
    const { from, to, reverse = false, rowsMax = Infinity } = options
    const conditions: string[] = []
    const bounds: Uint8Array[] = []
    if (from !== undefined) {
      conditions.push('key >= ?')
      bounds.push(from)
    }
    if (to !== undefined) {
      conditions.push('key < ?')
      bounds.push(to)
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const order = reverse ? 'DESC' : 'ASC'
    const sql = `SELECT key, value FROM rows ${where} ORDER BY key ${order} LIMIT ?`
    try {
      return this.#database
        .query<StoreEntry, (Uint8Array | number)[]>(sql)
        .all(...bounds, Number.isFinite(rowsMax) ? rowsMax : -1)
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  size(): { readonly rows: number; readonly bytes: number } {
    this.#assertUsable()
    return this.#sample.size()
  }

  async close(): Promise<void> {
    if (this.#refusal?.code === 'STORE_CLOSED') return
    const isSound = this.#refusal === undefined
    this.#refusal = new StateError('STORE_CLOSED', `${this.#path} is closed`)
    try {
      if (isSound && this.#sample.isDirty) this.#tell.run('sample', this.#sample.encode())
    } finally {
      for (const statement of [this.#get, this.#put, this.#remove, this.#tell]) statement.finalize()
      this.#database.close(true)
    }
  }

  #told(name: string): Uint8Array | undefined {
    return this.#database
      .query<{ bytes: Uint8Array }, [string]>('SELECT bytes FROM about WHERE name = ?')
      .get(name)?.bytes
  }

  /** The open transaction, if there is one, is rolled back at the latest when the connection closes. */
  #fail(cause: unknown): StateError {
    if (this.#refusal !== undefined) return this.#refusal
    const text = `${this.#path}: ${reason(cause)}`
    if (isDamage(cause)) this.#onDamage(text)
    this.#refusal = new StateError('STORE_FAILED', text, { cause })
    return this.#refusal
  }

  #assertUsable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }
}

/** Each key once, with its last change. */
function sortedByKey(changes: readonly StoreChange[]): readonly StoreChange[] {
  const byKey = new Map<string, StoreChange>()
  for (const change of changes) byKey.set(bytesToText(change.key), change)
  return [...byKey.keys()].sort().map((key) => byKey.get(key) as StoreChange)
}

// ---------------------------------------------------------------- files

function pragma(database: Database, name: string): number {
  const value = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name]
  assert(value !== undefined, `SQLite answers PRAGMA ${name}`)
  return value
}

/** Refuses a folder with files that are not this backend's, before adding one. */
function assertOurs(path: string): void {
  const names = existsSync(path) ? readdirSync(path) : []
  const foreign = names.find((name) => !name.startsWith(FILE))
  if (foreign !== undefined) throw notAStore(`${path} (${foreign})`)
}

/** The log before the file, so that a kill in between leaves an earlier state and never a log without its file. */
function removeFiles(path: string): void {
  for (const suffix of ['-wal', '-shm', '-journal', '']) {
    rmSync(`${path}/${FILE}${suffix}`, { force: true })
  }
}

function notAStore(where: string): StateError {
  return new StateError(
    'STORE_REFUSED',
    `${where} is not a sqlite store: remove it to rebuild the store from the changelog, ` +
      'or choose another folder',
  )
}

function isDamage(error: unknown): boolean {
  return error instanceof SQLiteError && error.code?.startsWith('SQLITE_CORRUPT') === true
}

function openError(path: string, error: unknown): StateError {
  if (error instanceof StateError) return error
  const code = error instanceof SQLiteError ? error.code : undefined
  if (code === 'SQLITE_NOTADB') return notAStore(path)
  if (code?.startsWith('SQLITE_BUSY') === true) {
    return new StateError('STORE_LOCKED', `${path} is open already: a store has one owner`, {
      cause: error,
    })
  }
  return new StateError('STORE_FAILED', `${path}: ${reason(error)}`, { cause: error })
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
