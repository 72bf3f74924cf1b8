/**
 * Stores in the memory of this process: for tests, simulations and `{ backend: 'memory' }`.
 *
 * Invariant: the contents belong to the backend, so closing and opening again finds them as they were applied; a new
 * process starts empty and restores everything.
 *
 * Keys and values are kept as texts of one character a byte: copied, so that a small value never pins the batch it came in,
 * at half the memory of as many small arrays, and compared as bytes are.
 */
import { Buffer } from 'node:buffer'
import { bytesToText, textToBytes } from './bytes.ts'
import { SortedKeys } from './sorted-keys.ts'
import { decodeStoreHeader, encodeStoreHeader } from './store-header.ts'
import {
  StateError,
  type OpenedStore,
  type OrderedStore,
  type ScanOptions,
  type StoreBackend,
  type StoreChange,
  type StoreEntry,
  type StoreHeader,
  type StoreLocation,
} from './store.ts'
import { locationText } from './store-folder.ts'

export class MemoryBackend implements StoreBackend {
  readonly kind = 'memory' as const
  readonly ordered = true
  readonly restoreBatchRows: number = 20_000
  readonly restoreSliceRows: number = 5_000
  readonly #contents = new Map<string, MemoryContents>()
  readonly #open = new Set<string>()

  async open(location: StoreLocation): Promise<OpenedStore> {
    const name = locationText(location)
    if (this.#open.has(name)) throw locked(name)
    const contents = this.#contents.get(name) ?? new MemoryContents()
    this.#contents.set(name, contents)
    this.#open.add(name)
    const store = new MemoryStore(name, contents, () => this.#open.delete(name))
    return { store, wiped: undefined }
  }

  async wipe(location: StoreLocation): Promise<void> {
    const name = locationText(location)
    if (this.#open.has(name)) throw locked(name)
    this.#contents.delete(name)
  }
}

function locked(name: string): StateError {
  return new StateError('STORE_LOCKED', `${name} is open already: a store has one owner`)
}

class MemoryContents {
  readonly rows: Map<string, string> = new Map()
  readonly keys: SortedKeys = new SortedKeys(this.rows)
  header: Uint8Array | undefined
  bytes: number = 0
}

class MemoryStore implements OrderedStore {
  readonly ordered = true as const
  readonly takesRepeats = true
  readonly #name: string
  readonly #contents: MemoryContents
  readonly #onClose: () => void
  #refusal: StateError | undefined

  constructor(name: string, contents: MemoryContents, onClose: () => void) {
    this.#name = name
    this.#contents = contents
    this.#onClose = onClose
  }

  header(): StoreHeader | undefined {
    this.#assertUsable()
    const bytes = this.#contents.header
    return bytes === undefined ? undefined : decodeStoreHeader(bytes, this.#name)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.#refusal !== undefined) throw this.#refusal
    const value = this.#contents.rows.get(bytesToText(key))
    return value === undefined ? undefined : textToBytes(value)
  }

  async apply(changes: readonly StoreChange[], header: StoreHeader): Promise<void> {
    this.#assertUsable()
    // Everything that can go wrong with what was handed in goes wrong before the first row changes.
    const keys: string[] = []
    const values: (string | null)[] = []
    let headerBytes: Uint8Array
    try {
      for (const { key, value } of changes) {
        keys.push(bytesToText(key))
        values.push(value === null ? null : bytesToText(value))
      }
      headerBytes = encodeStoreHeader(header)
    } catch (cause) {
      this.#refusal = new StateError('STORE_FAILED', `${this.#name}: nothing was applied`, {
        cause,
      })
      throw this.#refusal
    }
    this.#set(keys, values)
    this.#contents.header = headerBytes
  }

  async *scan(options: ScanOptions = {}): AsyncGenerator<readonly StoreEntry[]> {
    const { reverse = false, chunkRows = 1_000 } = options
    let from = options.from === undefined ? undefined : bytesToText(options.from)
    let to = options.to === undefined ? undefined : bytesToText(options.to)
    for (;;) {
      this.#assertUsable()
      const keys = this.#contents.keys.slice(from, to, chunkRows, reverse)
      if (keys.length > 0) yield this.#entries(keys)
      const last = keys.at(-1)
      if (last === undefined || keys.length < chunkRows) return
      if (reverse) to = last
      else from = `${last}\0`
    }
  }

  range(options: ScanOptions & { readonly rowsMax?: number }): readonly StoreEntry[] {
    this.#assertUsable()
    const from = options.from === undefined ? undefined : bytesToText(options.from)
    const to = options.to === undefined ? undefined : bytesToText(options.to)
    const rowsMax = options.rowsMax ?? Infinity
    return this.#entries(this.#contents.keys.slice(from, to, rowsMax, options.reverse ?? false))
  }

  size(): { readonly rows: number; readonly bytes: number } {
    this.#assertUsable()
    return { rows: this.#contents.rows.size, bytes: this.#contents.bytes }
  }

  async close(): Promise<void> {
    if (this.#refusal?.code === 'STORE_CLOSED') return
    this.#refusal = new StateError('STORE_CLOSED', `${this.#name} is closed`)
    this.#onClose()
  }

  #set(keys: readonly string[], values: readonly (string | null)[]): void {
    const contents = this.#contents
    const { rows } = contents
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] as string
      const value = values[index] as string | null
      const before = rows.get(key)
      if (before !== undefined) contents.bytes -= key.length + before.length
      if (value === null) {
        if (before === undefined) continue
        rows.delete(key)
        contents.keys.note(key)
        continue
      }
      contents.bytes += key.length + value.length
      rows.set(key, value)
      if (before === undefined) contents.keys.note(key)
    }
  }

  #entries(keys: readonly string[]): readonly StoreEntry[] {
    const { rows } = this.#contents
    return keys.map((key) => ({
      key: Buffer.from(key, 'latin1'),
      value: Buffer.from(rows.get(key) ?? '', 'latin1'),
    }))
  }

  #assertUsable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }
}
