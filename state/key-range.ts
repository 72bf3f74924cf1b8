/**
 * Ranges over a key-value store: the writes of both layers merged with the rows of an ordered backend, in key byte order.
 *
 * Invariant: a range answers what the store held when it was asked for, whatever is put while it is walked.
 */
import { compareBytes, keyAfter } from './bytes.ts'
import type { RowFormat } from './row-format.ts'
import type { OrderedStore, ScanOptions, StoreEntry } from './store.ts'
import type { KeyRange } from './task-store.ts'
import type { DirtyEntry, Written } from './write-buffer.ts'

interface SortedKey<K, V> {
  readonly bytes: Uint8Array
  readonly entry: DirtyEntry<K, V>
}

/** One layer's entries by key bytes; sorted when first asked for, then kept up by insertion. */
export class SortedDirty<K, V> {
  readonly #format: RowFormat<K, V>
  #sorted: SortedKey<K, V>[] = []
  #source: readonly DirtyEntry<K, V>[] = []
  /** The entry that was last taken over: when it is gone from its place, a record was rolled back. */
  #last: DirtyEntry<K, V> | undefined

  constructor(format: RowFormat<K, V>) {
    this.#format = format
  }

  of(dirty: readonly DirtyEntry<K, V>[]): readonly SortedKey<K, V>[] {
    const known = this.#sorted.length
    if (dirty !== this.#source || (known > 0 && dirty[known - 1] !== this.#last)) this.#sorted = []
    this.#source = dirty
    const added = dirty.slice(this.#sorted.length).map((entry) => {
      return { bytes: this.#format.keyBytes(entry.key), entry }
    })
    if (added.length > INSERTED_MAX) {
      this.#sorted = [...this.#sorted, ...added]
      this.#sorted.sort((a, b) => compareBytes(a.bytes, b.bytes))
    } else {
      for (const key of added) this.#sorted.splice(lowerBound(this.#sorted, key.bytes), 0, key)
    }
    this.#last = dirty.at(-1)
    return this.#sorted
  }
}

/** More new entries than this are sorted in at once. */
const INSERTED_MAX = 8

/** Index of the first key that is not below `bytes`. */
function lowerBound<K, V>(sorted: readonly SortedKey<K, V>[], bytes: Uint8Array): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const candidate = sorted[middle]
    if (candidate !== undefined && compareBytes(candidate.bytes, bytes) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What the layers say in the range, in its direction; the open layer hides the committing one. */
interface Overlay<K, V> {
  readonly bytes: Uint8Array
  readonly key: K
  readonly written: Written<V>
}

export interface RangeSources<K, V> {
  readonly store: OrderedStore
  readonly format: RowFormat<K, V>
  readonly open: readonly SortedKey<K, V>[]
  readonly committing: readonly SortedKey<K, V>[]
}

export function rangeOf<K, V>(
  sources: RangeSources<K, V>,
  range: KeyRange<K>,
): Iterable<readonly [key: K, value: V]> {
  const { format } = sources
  const from = range.from === undefined ? undefined : format.keyBytes(range.from)
  const to = range.to === undefined ? undefined : keyAfter(format.keyBytes(range.to))
  const overlay = overlayOf(sources, from, to)
  if (range.reverse === true) overlay.reverse()
  return merge(sources, overlay, from, to, range.reverse === true)
}

function overlayOf<K, V>(
  sources: RangeSources<K, V>,
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
): Overlay<K, V>[] {
  const open = sliceOf(sources.open, from, to)
  const committing = sliceOf(sources.committing, from, to)
  const overlay: Overlay<K, V>[] = []
  let next = 0
  for (const key of open) {
    for (; next < committing.length; next++) {
      const older = committing[next] as SortedKey<K, V>
      const order = compareBytes(older.bytes, key.bytes)
      if (order < 0) overlay.push(overlayEntry(older))
      if (order > 0) break
    }
    overlay.push(overlayEntry(key))
  }
  for (const key of committing.slice(next)) overlay.push(overlayEntry(key))
  return overlay
}

function overlayEntry<K, V>({ bytes, entry }: SortedKey<K, V>): Overlay<K, V> {
  return { bytes, key: entry.key, written: entry.written }
}

function sliceOf<K, V>(
  sorted: readonly SortedKey<K, V>[],
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
): readonly SortedKey<K, V>[] {
  return sorted.slice(
    from === undefined ? 0 : lowerBound(sorted, from),
    to === undefined ? sorted.length : lowerBound(sorted, to),
  )
}

/** Walks overlay and rows together; equal keys come from the overlay, deleted ones not at all. */
function* merge<K, V>(
  { store, format }: RangeSources<K, V>,
  overlay: readonly Overlay<K, V>[],
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
  reverse: boolean,
): Generator<readonly [key: K, value: V]> {
  const sign = reverse ? -1 : 1
  let next = 0
  for (const row of rowsOf(store, from, to, reverse)) {
    let isHidden = false
    for (; next < overlay.length; next++) {
      const written = overlay[next] as Overlay<K, V>
      const order = compareBytes(written.bytes, row.key) * sign
      if (order > 0) break
      isHidden ||= order === 0
      if (written.written.value !== null) yield [written.key, written.written.value]
    }
    if (isHidden) continue
    yield [format.readKey(row.key, row.key.length), format.readRow(row.value).value]
  }
  for (; next < overlay.length; next++) {
    const { key, written } = overlay[next] as Overlay<K, V>
    if (written.value !== null) yield [key, written.value]
  }
}

const CHUNK_ROWS = 1000

function* rowsOf(
  store: OrderedStore,
  from: Uint8Array | undefined,
  to: Uint8Array | undefined,
  reverse: boolean,
): Generator<StoreEntry> {
  let bounds: ScanOptions = {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    reverse,
  }
  while (true) {
    const rows = store.range({ ...bounds, rowsMax: CHUNK_ROWS })
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < CHUNK_ROWS) return
    bounds = reverse ? { ...bounds, to: last.key } : { ...bounds, from: keyAfter(last.key) }
  }
}
