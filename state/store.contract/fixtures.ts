/** What the sections of the store contract share: headers, rows, keys and folds made from numbers: a failure is a seed. */
import { Buffer } from 'node:buffer'
import type { StateStore, StoreChange, StoreEntry, StoreHeader, StoreLocation } from '../store.ts'

export const location: StoreLocation = { applicationId: 'app', taskId: '0_1', storeName: 'counts' }

export function headerAt(position: number): StoreHeader {
  return {
    format: 1,
    logId: 'log-1',
    applicationId: location.applicationId,
    storeName: location.storeName,
    taskId: location.taskId,
    changelogs: [
      { topic: 'app-counts-changelog', topicId: 'T1', partition: 1, leaderEpoch: 2, position },
    ],
    appliedInputs: { 'orders-1': position * 2 },
    appliedAtMs: 1_700_000_000_000 + position,
  }
}

export function positionOf(store: StateStore): number {
  return store.header()?.changelogs[0]?.position ?? 0
}

export function utf8(text: string): Uint8Array {
  return Buffer.from(text)
}

export function put(key: string, value: string): StoreChange {
  return { key: utf8(key), value: utf8(value) }
}

export function remove(key: string): StoreChange {
  return { key: utf8(key), value: null }
}

export function texts(entries: readonly StoreEntry[]): readonly string[] {
  return entries.map(({ key, value }) => `${Buffer.from(key)}=${Buffer.from(value)}`)
}

export async function rowsOf(
  store: StateStore,
  options: Parameters<StateStore['scan']>[0] = {},
): Promise<readonly StoreEntry[]> {
  const rows: StoreEntry[] = []
  for await (const chunk of store.scan(options)) rows.push(...chunk)
  return rows
}

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** A key for a number: of length 0 to 39, and one in four among those that are awkward to bounds: runs of 00 and ff. */
export function keyFor(number: number): Uint8Array {
  const next = numbers(number)
  const key = Buffer.alloc(Math.floor(next() * 40))
  const awkward = next()
  for (let at = 0; at < key.length; at += 1) key[at] = next() * 256
  if (awkward < 0.15) key.fill(0xff, 0, Math.max(0, key.length - 2))
  else if (awkward < 0.25) key.fill(0x00, 0, Math.max(0, key.length - 2))
  return key
}

export interface ChangesPlan {
  readonly seed: number
  readonly count: number
  /** How many different keys there are to choose from. */
  readonly keys: number
  readonly valueBytesMax: number
}

/** Changes that follow from a seed: one in five removes. */
export function changesFor({ seed, count, keys, valueBytesMax }: ChangesPlan): StoreChange[] {
  const next = numbers(seed)
  return Array.from({ length: count }, (_, index) => {
    const key = keyFor(Math.floor(next() * keys))
    if (next() < 0.2) return { key, value: null }
    const value = Buffer.alloc(Math.floor(next() * valueBytesMax), index)
    return { key, value }
  })
}

/** The plain map that a store must equal; keys and values as hex. */
export class Fold {
  readonly rows: Map<string, string> = new Map()

  apply(changes: readonly StoreChange[]): void {
    for (const { key, value } of changes) {
      if (value === null) this.rows.delete(key.toHex())
      else this.rows.set(key.toHex(), value.toHex())
    }
  }

  /** `key=value` in key order, within bounds; hex sorts as bytes do. */
  lines(from?: Uint8Array, to?: Uint8Array): string[] {
    const [low, high] = [from?.toHex(), to?.toHex()]
    return [...this.rows.keys()]
      .filter((key) => (low === undefined || key >= low) && (high === undefined || key < high))
      .sort()
      .map((key) => `${key}=${this.rows.get(key)}`)
  }
}

export function hexLines(entries: readonly StoreEntry[]): string[] {
  return entries.map(({ key, value }) => `${key.toHex()}=${value.toHex()}`)
}
