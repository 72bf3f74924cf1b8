/**
 * The uncommitted writes of one task store: an open layer, at most one committing layer, and an undo log of the record in hand.
 *
 * Invariant: a `Written` never changes once made, so whoever read one may keep it; a layer changes only while it is open.
 *
 * A store keeps one `Layers` (key-value) or one a window; the order of writes and the undo log span all of them. A record
 * costs no allocation here beyond the `Written` of each put: the log's arrays are reused and cut back by `savepoint`.
 */
import { assert } from '#system'

/** A value with the time it was written at; `value: null` is a delete. */
export interface Written<V> {
  readonly value: V | null
  readonly timestampMs: number
}

/** One key that the open or committing layer has written. */
export class DirtyEntry<K, V> {
  readonly layers: Layers<K, V>
  /** The key as maps are keyed: a string itself, else its bytes (`mapKeyOf`). */
  readonly mapKey: string
  readonly key: K
  written: Written<V>
  /** When it was last written, in puts of the store: changelog records go out in this order (X2). */
  order: number

  constructor(layers: Layers<K, V>, mapKey: string, key: K, written: Written<V>, order: number) {
    this.layers = layers
    this.mapKey = mapKey
    this.key = key
    this.written = written
    this.order = order
  }
}

/** The open and the committing writes of one window, or of a whole key-value store. */
export class Layers<K, V> {
  readonly windowStartMs: number
  open: Map<string, DirtyEntry<K, V>> = new Map()
  committing: Map<string, DirtyEntry<K, V>> | undefined
  /** The entry of `open` that was read last: most puts are of what was just read. */
  recent: DirtyEntry<K, V> | undefined

  constructor(windowStartMs: number) {
    this.windowStartMs = windowStartMs
  }

  /** What the layers know of the key; undefined sends the reader to cache and backend. */
  read(mapKey: string): Written<V> | undefined {
    const entry = this.open.get(mapKey)
    if (entry === undefined) return this.committing?.get(mapKey)?.written
    this.recent = entry
    return entry.written
  }

  /** The entry of the open layer. */
  entryOf(mapKey: string): DirtyEntry<K, V> | undefined {
    const { recent } = this
    if (recent !== undefined && recent.mapKey === mapKey) return recent
    return this.open.get(mapKey)
  }
}

const UNDO_KEPT = 64

export class WriteBuffer<K, V> {
  /** Entries of the open layers, in the order of their first put: the tail since the savepoint is new. */
  #dirty: DirtyEntry<K, V>[] = []
  #committing: DirtyEntry<K, V>[] | undefined
  readonly #logEvery: boolean
  /** With `logEvery`: every put since the seal, as an entry of its own. */
  #log: DirtyEntry<K, V>[] = []
  #order = 0
  /** An entry was written again, so first-put order is no longer the order of last puts. */
  #isReordered = false

  #dirtyAtSavepoint = 0
  #logAtSavepoint = 0
  /** Entries overwritten since the savepoint, and what they held: three columns, `#undoCount` rows. */
  readonly #undoEntries: DirtyEntry<K, V>[] = []
  readonly #undoWritten: Written<V>[] = []
  readonly #undoOrder: number[] = []
  #undoCount = 0

  constructor(logEvery: boolean) {
    this.#logEvery = logEvery
  }

  /** Open entries in the order of their first put; for readers that merge them with the backend. */
  get dirty(): readonly DirtyEntry<K, V>[] {
    return this.#dirty
  }

  get committing(): readonly DirtyEntry<K, V>[] {
    return this.#committing ?? []
  }

  get entryCount(): number {
    return this.#dirty.length + this.committing.length + this.#log.length
  }

  /** True if the open layer had not written this key before. */
  put(layers: Layers<K, V>, mapKey: string, key: K, written: Written<V>): boolean {
    let entry = layers.entryOf(mapKey)
    const isNew = entry === undefined
    this.#order += 1
    if (entry === undefined) {
      entry = new DirtyEntry(layers, mapKey, key, written, this.#order)
      layers.open.set(mapKey, entry)
      this.#dirty.push(entry)
    } else {
      const row = this.#undoCount++
      this.#undoEntries[row] = entry
      this.#undoWritten[row] = entry.written
      this.#undoOrder[row] = entry.order
      entry.written = written
      entry.order = this.#order
      this.#isReordered = true
    }
    if (this.#logEvery) this.#log.push(new DirtyEntry(layers, mapKey, key, written, this.#order))
    return isNew
  }

  savepoint(): void {
    this.#dirtyAtSavepoint = this.#dirty.length
    this.#logAtSavepoint = this.#log.length
    this.#undoCount = 0
    if (this.#undoEntries.length > UNDO_KEPT) this.#forgetUndo()
  }

  /** What was put since the savepoint; an entry that was written again may be there more than once. */
  writtenSinceSavepoint(): readonly DirtyEntry<K, V>[] {
    if (this.#logEvery) return this.#log.slice(this.#logAtSavepoint)
    const again = this.#undoEntries.slice(0, this.#undoCount)
    return [...this.#dirty.slice(this.#dirtyAtSavepoint), ...again]
  }

  rollback(): void {
    while (this.#undoCount > 0) {
      const row = --this.#undoCount
      const entry = this.#undoEntries[row]
      const written = this.#undoWritten[row]
      assert(entry !== undefined && written !== undefined, 'the undo log has every row below count')
      entry.written = written
      entry.order = this.#undoOrder[row] ?? 0
    }
    while (this.#dirty.length > this.#dirtyAtSavepoint) {
      const entry = this.#dirty.pop()
      if (entry === undefined) continue
      entry.layers.open.delete(entry.mapKey)
      entry.layers.recent = undefined
    }
    this.#log.length = this.#logAtSavepoint
  }

  /**
   * Closes the open layers and answers what to encode: every dirty entry once, by its last put; with `logEvery` every
   * put, in put order.
   */
  seal(): readonly DirtyEntry<K, V>[] {
    assert(this.#committing === undefined, 'one sealed layer at a time: release comes first')
    const dirty = this.#dirty
    for (const { layers } of dirty) {
      if (layers.open.size === 0) continue
      layers.committing = layers.open
      layers.open = new Map()
      layers.recent = undefined
    }
    if (this.#isReordered && !this.#logEvery) dirty.sort((a, b) => a.order - b.order)
    const puts = this.#logEvery ? this.#log : dirty
    this.#committing = dirty
    this.#dirty = []
    this.#log = []
    this.#order = 0
    this.#isReordered = false
    this.#dirtyAtSavepoint = 0
    this.#logAtSavepoint = 0
    this.#undoCount = 0
    this.#forgetUndo()
    return puts
  }

  /** Drops the committing layers and answers what was in them, each key once (R4). */
  release(): readonly DirtyEntry<K, V>[] {
    const released = this.#committing
    if (released === undefined) return []
    for (const { layers } of released) layers.committing = undefined
    this.#committing = undefined
    return released
  }

  /** The columns keep references until they are overwritten: after a record with many puts they are cut. */
  #forgetUndo(): void {
    this.#undoEntries.length = 0
    this.#undoWritten.length = 0
    this.#undoOrder.length = 0
  }
}
