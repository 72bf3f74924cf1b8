/**
 * Encodes a sealed layer: each write once, and the same bytes serve the changelog and the backend.
 *
 * Invariant: all bytes of one seal lie in one buffer, which nothing writes to again.
 */
import { ByteWriter } from '#system'
import type { StoreChange } from './store.ts'
import type { ChangelogRecord, SealedWrites } from './task-store.ts'
import { type RowFormat, writeWindowSuffix } from './row-format.ts'
import type { DirtyEntry } from './write-buffer.ts'

export interface Encoded extends SealedWrites {
  /** Length of the buffer that all of them are views of. */
  readonly bytes: number
}

export function encodeWrites<K, V>(
  puts: readonly DirtyEntry<K, V>[],
  format: RowFormat<K, V>,
  options: { readonly windowed: boolean; readonly logged: boolean; readonly sizeHint: number },
): Encoded {
  const target = new ByteWriter(Math.max(options.sizeHint, 64))
  /** Where each row's key ends and its row ends; a deleted row ends where its key does, marked by −1. */
  const keyEnds = new Array<number>(puts.length)
  const rowEnds = new Array<number>(puts.length)
  for (let index = 0; index < puts.length; index++) {
    const { key, layers, written } = puts[index] as DirtyEntry<K, V>
    format.writeKey(key, target)
    if (options.windowed) writeWindowSuffix(target, layers.windowStartMs, 0)
    keyEnds[index] = target.length
    if (written.value === null) {
      rowEnds[index] = -1
      continue
    }
    if (format.timestamped) target.int64(written.timestampMs)
    format.writeValue(written.value, target, key)
    rowEnds[index] = target.length
  }
  const { buffer } = target
  const changelog: ChangelogRecord[] = []
  const changes: StoreChange[] = []
  const valueAt = format.timestamped ? 8 : 0
  let start = 0
  for (let index = 0; index < puts.length; index++) {
    const keyEnd = keyEnds[index] as number
    const rowEnd = rowEnds[index] as number
    const { timestampMs } = (puts[index] as DirtyEntry<K, V>).written
    const key = buffer.subarray(start, keyEnd)
    const row = rowEnd < 0 ? null : buffer.subarray(keyEnd, rowEnd)
    changes.push({ key, value: row })
    if (options.logged) {
      const value = rowEnd < 0 ? null : buffer.subarray(keyEnd + valueAt, rowEnd)
      changelog.push({ key, value, timestampMs })
    }
    start = rowEnd < 0 ? keyEnd : rowEnd
  }
  return { changelog, changes, bytes: target.length }
}

/** Map entry, key string, `Written` and the head of a value: what an entry costs beside its contents. */
const ENTRY_BYTES = 160
/** Decoded contents take about this many times the bytes they are encoded in. */
const DECODED_FACTOR = 2

/** How much a store may keep of what its backend holds, decoded: whichever is reached first. */
export interface CacheLimits {
  /** 100,000 by default. */
  readonly cacheEntriesMax?: number
  /** Roughly, as `RowBytes` guesses. 16 MiB by default. */
  readonly cacheBytesMax?: number
}

const CACHE_ENTRIES_MAX = 100_000
const CACHE_BYTES_MAX = 16 * 1024 * 1024

/** The mean length of rows so far, for guesses of memory. */
export class RowBytes {
  #rows = 1
  #bytes = 64

  add(rows: number, bytes: number): void {
    this.#rows += rows
    this.#bytes += bytes
  }

  get average(): number {
    return Math.ceil(this.#bytes / this.#rows)
  }

  /** An entry of a layer or of the cache, decoded. */
  get averageInMemory(): number {
    return ENTRY_BYTES + DECODED_FACTOR * this.average
  }

  /** Entries that a cache with these limits has room for. */
  entriesWithin({
    cacheEntriesMax = CACHE_ENTRIES_MAX,
    cacheBytesMax = CACHE_BYTES_MAX,
  }: CacheLimits): number {
    return Math.min(cacheEntriesMax, Math.floor(cacheBytesMax / this.averageInMemory))
  }
}
