/**
 * Stores that freeze what is put into them, for the test driver: a value kept in a store is shared with the cache and with
 * downstream, so mutating one would change history.
 *
 * Invariant: reads and writes are otherwise the store's own.
 */
import type {
  KeyRange,
  KeyValueTaskStore,
  SealedWrites,
  TaskStore,
  TimedValue,
  Turn,
  WindowEntry,
  WindowTaskStore,
} from '#state'
import type { StoreSpec } from './node.ts'

/** Freezes plain objects and arrays all the way down; bytes cannot be frozen, and are left alone. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) deepFreeze(part)
  return value
}

/** Wraps the stores whose values are decoded objects; the others are kept as they are. */
export function freezingStores(
  stores: ReadonlyMap<string, TaskStore>,
  specs: readonly StoreSpec[],
): ReadonlyMap<string, TaskStore> {
  const frozen = new Map(stores)
  for (const { name, kind } of specs) {
    const store = stores.get(name)
    if (store === undefined) continue
    if (kind === 'key-value') {
      frozen.set(name, new FreezingKeyValueStore(store as KeyValueTaskStore<unknown, unknown>))
    } else if (kind === 'window') {
      frozen.set(name, new FreezingWindowStore(store as WindowTaskStore<unknown, unknown>))
    }
  }
  return frozen
}

/** The value only: the entry around it is the store's own, and the store may write to it. */
function freezeValue<E extends { readonly value: unknown } | undefined>(entry: E): E {
  if (entry !== undefined) deepFreeze(entry.value)
  return entry
}

abstract class FreezingStore<S extends TaskStore> implements TaskStore {
  protected readonly store: S

  constructor(store: S) {
    this.store = store
  }

  get name(): string {
    return this.store.name
  }
  get memoryBytes(): number {
    return this.store.memoryBytes
  }
  load(turn?: Turn): Promise<void> {
    return this.store.load(turn)
  }
  savepoint(): void {
    this.store.savepoint()
  }
  rollback(): void {
    this.store.rollback()
  }
  seal(): SealedWrites {
    return this.store.seal()
  }
  release(): void {
    this.store.release()
  }
}

class FreezingKeyValueStore
  extends FreezingStore<KeyValueTaskStore<unknown, unknown>>
  implements KeyValueTaskStore<unknown, unknown>
{
  get(key: unknown): unknown {
    return deepFreeze(this.store.get(key))
  }
  getTimed(key: unknown): TimedValue<unknown> | undefined {
    return freezeValue(this.store.getTimed(key))
  }
  put(key: unknown, value: unknown, timestampMs: number): void {
    this.store.put(key, deepFreeze(value), timestampMs)
  }
  *range(range: KeyRange<unknown>): Iterable<readonly [unknown, unknown]> {
    for (const entry of this.store.range(range)) {
      deepFreeze(entry[1])
      yield entry
    }
  }
}

class FreezingWindowStore
  extends FreezingStore<WindowTaskStore<unknown, unknown>>
  implements WindowTaskStore<unknown, unknown>
{
  get observedTimeMs(): number {
    return this.store.observedTimeMs
  }
  holdFrom(windowStartMs: number): void {
    this.store.holdFrom(windowStartMs)
  }
  getTimed(key: unknown, windowStartMs: number): TimedValue<unknown> | undefined {
    return freezeValue(this.store.getTimed(key, windowStartMs))
  }
  put(key: unknown, windowStartMs: number, value: unknown, timestampMs: number): boolean {
    return this.store.put(key, windowStartMs, deepFreeze(value), timestampMs)
  }
  *windows(fromMs: number, toMs: number): Iterable<WindowEntry<unknown, unknown>> {
    for (const entry of this.store.windows(fromMs, toMs)) yield freezeValue(entry)
  }
  *fetch(key: unknown, fromMs: number, toMs: number): Iterable<WindowEntry<unknown, unknown>> {
    for (const entry of this.store.fetch(key, fromMs, toMs)) yield freezeValue(entry)
  }
}
