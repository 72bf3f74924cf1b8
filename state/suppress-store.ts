/**
 * The suppress buffer: changes in memory, ordered by time and key bytes, at most one a key.
 *
 * Invariant: `#items` is what the fold of the changelog and of the dirty keys gives; the backend holds the same rows as the
 * changelog, and both get one record for each key that a commit has touched.
 */
import {
  BUFFER_VALUE_HEADERS,
  bufferedBytes,
  decodeBufferValue,
  encodeBufferValue,
} from './buffer-value.ts'
import { bytesToText, compareBytes } from './bytes.ts'
import { HashOrder } from './hash-order.ts'
import type { StateStore, StoreChange } from './store.ts'
import type {
  BufferedChange,
  ChangelogRecord,
  SealedWrites,
  SuppressTaskStore,
  Turn,
} from './task-store.ts'

export interface SuppressBufferOptions {
  readonly name: string
  readonly store: StateStore
  readonly logged: boolean
}

/** A key's place in the queue; `change` is undefined once it has left. */
interface Item {
  readonly timeMs: number
  readonly key: Uint8Array
  readonly mapKey: string
  change: BufferedChange | undefined
}

/** Map entry, queue place and the objects of a change, beside the bytes that limits count. */
const ITEM_BYTES = 400

export class SuppressBuffer implements SuppressTaskStore {
  readonly name: string
  readonly #store: StateStore
  readonly #logged: boolean
  readonly #items: Map<string, Item> = new Map()
  readonly #queue = new ItemQueue()
  #bytes = 0
  /** Keys touched since the seal, in the order of their first touch. */
  #dirty: Map<string, Uint8Array> = new Map()
  readonly #hashOrder = new HashOrder()

  /** What the record in hand has done, newest last: an item, and the change it held before (undefined: it was not there). */
  #undoItems: Item[] = []
  #undoChanges: (BufferedChange | undefined)[] = []
  #dirtySinceSavepoint: string[] = []

  constructor(options: SuppressBufferOptions) {
    this.name = options.name
    this.#store = options.store
    this.#logged = options.logged
  }

  get records(): number {
    return this.#items.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get oldestTimeMs(): number {
    return this.#queue.first()?.timeMs ?? Number.POSITIVE_INFINITY
  }

  get memoryBytes(): number {
    return this.#bytes + this.#items.size * ITEM_BYTES
  }

  async load(turn?: Turn): Promise<void> {
    for await (const rows of this.#store.scan()) {
      for (const row of rows) {
        // Copies: the rows of a chunk may be views of one large block.
        const { timeMs, change } = decodeBufferValue(row.key.slice(), row.value.slice())
        this.#add({ timeMs, key: change.key, mapKey: bytesToText(change.key), change })
      }
      await turn?.()
    }
  }

  put(timeMs: number, put: Parameters<SuppressTaskStore['put']>[1]): void {
    const mapKey = bytesToText(put.key)
    const item = this.#items.get(mapKey)
    this.#touch(mapKey, put.key)
    if (item === undefined) {
      const { priorValue = put.oldValue } = put
      const added = { timeMs, key: put.key, mapKey, change: { ...put, priorValue } }
      this.#remember(added, undefined)
      this.#add(added)
      return
    }
    const before = item.change
    this.#remember(item, before)
    // The place in the queue and the value from before buffering stay those of the first put.
    this.#replace(item, { ...put, priorValue: before?.priorValue ?? null })
  }

  get(key: Uint8Array): BufferedChange | undefined {
    return this.#items.get(bytesToText(key))?.change
  }

  takeOldest(): { readonly timeMs: number; readonly change: BufferedChange } | undefined {
    const item = this.#queue.first()
    if (item?.change === undefined) return undefined
    const { change, timeMs } = item
    this.#touch(item.mapKey, item.key)
    this.#remember(item, change)
    this.#remove(item)
    return { timeMs, change }
  }

  savepoint(): void {
    if (this.#undoItems.length > 0) {
      this.#undoItems.length = 0
      this.#undoChanges.length = 0
    }
    if (this.#dirtySinceSavepoint.length > 0) this.#dirtySinceSavepoint.length = 0
  }

  rollback(): void {
    for (let item = this.#undoItems.pop(); item !== undefined; item = this.#undoItems.pop()) {
      const before = this.#undoChanges.pop()
      if (before === undefined) this.#remove(item)
      else if (item.change !== undefined) this.#replace(item, before)
      else {
        item.change = before
        this.#add(item)
      }
    }
    for (const mapKey of this.#dirtySinceSavepoint) this.#dirty.delete(mapKey)
    this.#dirtySinceSavepoint.length = 0
  }

  encodedSinceSavepoint(): readonly ChangelogRecord[] {
    if (!this.#logged) return []
    return this.#undoItems.flatMap(({ key, timeMs, change }) =>
      change === undefined ? [] : [changelogRecord(key, encodeBufferValue(change, timeMs))],
    )
  }

  seal(): SealedWrites {
    const touched = [...this.#dirty].map(([mapKey, key]) => ({ mapKey, key }))
    const changes: StoreChange[] = []
    const changelog: ChangelogRecord[] = []
    for (const { mapKey, key } of this.#hashOrder.of(touched)) {
      const item = this.#items.get(mapKey)
      const value = item?.change === undefined ? null : encodeBufferValue(item.change, item.timeMs)
      changes.push({ key, value })
      if (this.#logged) changelog.push(changelogRecord(key, value))
    }
    this.#dirty = new Map()
    this.savepoint()
    return { changelog, changes }
  }

  /** Reads never leave memory, so there is no layer to drop. */
  release(): void {}

  #touch(mapKey: string, key: Uint8Array): void {
    if (this.#dirty.has(mapKey)) return
    this.#dirty.set(mapKey, key)
    this.#dirtySinceSavepoint.push(mapKey)
  }

  #remember(item: Item, before: BufferedChange | undefined): void {
    this.#undoItems.push(item)
    this.#undoChanges.push(before)
  }

  #add(item: Item): void {
    this.#items.set(item.mapKey, item)
    this.#queue.add(item)
    this.#bytes += item.change === undefined ? 0 : bufferedBytes(item.change)
  }

  #replace(item: Item, change: BufferedChange): void {
    const before = item.change === undefined ? 0 : bufferedBytes(item.change)
    item.change = change
    this.#bytes += bufferedBytes(change) - before
  }

  #remove(item: Item): void {
    this.#items.delete(item.mapKey)
    this.#bytes -= item.change === undefined ? 0 : bufferedBytes(item.change)
    item.change = undefined
  }
}

function changelogRecord(key: Uint8Array, value: Uint8Array | null): ChangelogRecord {
  const record = { key, value, timestampMs: undefined }
  return value === null ? record : { ...record, headers: BUFFER_VALUE_HEADERS }
}

/**
 * A heap by (time, key bytes). Items that have left are skipped when they come up; one that left and came back may be in it
 * twice, which shows nowhere.
 */
class ItemQueue {
  readonly #heap: Item[] = []

  add(item: Item): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(item)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above] as Item
      if (!isBefore(item, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = item
  }

  first(): Item | undefined {
    while (this.#heap.length > 0 && this.#heap[0]?.change === undefined) this.#dropFirst()
    return this.#heap[0]
  }

  #dropFirst(): void {
    const heap = this.#heap
    const item = heap.pop()
    if (item === undefined || heap.length === 0) return
    let at = 0
    while (true) {
      let below = at * 2 + 1
      if (below >= heap.length) break
      const right = below + 1
      if (right < heap.length && isBefore(heap[right] as Item, heap[below] as Item)) below = right
      const child = heap[below] as Item
      if (!isBefore(child, item)) break
      heap[at] = child
      at = below
    }
    heap[at] = item
  }
}

function isBefore(a: Item, b: Item): boolean {
  if (a.timeMs !== b.timeMs) return a.timeMs < b.timeMs
  return compareBytes(a.key, b.key) < 0
}
