/**
 * What a test sees of a task's stores: decoded, typed by the table, read only.
 *
 * Invariant: everything piped before has been processed and committed, so this is what a restart would find.
 */
import type { KeyValueTaskStore, StateStore, TimedValue, WindowTaskStore } from '#state'
import { isOrdered, parseTimestamped } from '#state'
import { assert } from '#system'
import type { StoreSpec } from '#topology'

export interface TestStoreEntry<K, V> {
  readonly key: K
  readonly value: V
  /** 0 in a plain store, which keeps none. */
  readonly timestampMs: number
}

export interface TestWindowEntry<K, V> extends TestStoreEntry<K, V> {
  readonly windowStartMs: number
  readonly windowEndMs: number
}

type KeyValueSpec = Extract<StoreSpec, { kind: 'key-value' }>
type WindowSpec = Extract<StoreSpec, { kind: 'window' }>

export class TestKeyValueStore<K, V> {
  readonly #spec: KeyValueSpec
  readonly #store: KeyValueTaskStore<K, V>
  readonly #rows: StateStore

  constructor(spec: KeyValueSpec, store: KeyValueTaskStore<K, V>, rows: StateStore) {
    this.#spec = spec
    this.#store = store
    this.#rows = rows
  }

  get(key: K): V | undefined {
    return this.#store.get(key)
  }

  /** The value with the time of the record that wrote it. */
  getTimed(key: K): TimedValue<V> | undefined {
    return this.#store.getTimed(key)
  }

  /** Everything, in the order of the keys' bytes. */
  all(): readonly TestStoreEntry<K, V>[] {
    const { key, value, timestamped } = this.#spec
    assert(isOrdered(this.#rows), 'tests keep their stores in memory')
    return this.#rows.range({}).map((row) => {
      const timed = timestamped ? parseTimestamped(row.value) : { value: row.value, timestampMs: 0 }
      return {
        key: key.decode(row.key) as K,
        value: value.decode(timed.value) as V,
        timestampMs: timed.timestampMs,
      }
    })
  }
}

export class TestWindowStore<K, V> {
  readonly #spec: WindowSpec
  readonly #store: WindowTaskStore<K, V>

  constructor(spec: WindowSpec, store: WindowTaskStore<K, V>) {
    this.#spec = spec
    this.#store = store
  }

  /** One window's value. */
  get(key: K, windowStartMs: number): V | undefined {
    return this.#store.getTimed(key, windowStartMs)?.value
  }

  /** A key's windows by start; both bounds are included. */
  fetch(key: K, fromMs: number = 0, toMs: number = Infinity): readonly TestWindowEntry<K, V>[] {
    return this.#entries(this.#store.fetch(key, fromMs, toMs))
  }

  /** All windows that retention still shows, by start, then by the keys' bytes. */
  all(): readonly TestWindowEntry<K, V>[] {
    return this.#entries(this.#store.windows(0, Number.MAX_SAFE_INTEGER))
  }

  #entries(
    found: Iterable<TestStoreEntry<K, V> & { readonly windowStartMs: number }>,
  ): readonly TestWindowEntry<K, V>[] {
    return [...found].map(({ key, value, timestampMs, windowStartMs }) => {
      const windowEndMs = windowStartMs + this.#spec.sizeMs
      return { key, value, timestampMs, windowStartMs, windowEndMs }
    })
  }
}
