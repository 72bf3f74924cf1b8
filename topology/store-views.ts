/**
 * Stores as a user's processor sees them: typed by its declaration, without times and layers.
 *
 * Invariant: what is put carries the time of the record in hand; in a punctuator, the time of the punctuation.
 */
import type { KeyRange, KeyValueTaskStore, TimedValue, WindowEntry, WindowTaskStore } from '#state'
import type { OrderedKeyValueStore, ReadableWindowStore } from './processor.ts'
import type { RunContext } from './run-context.ts'
import { TopologyError } from './topology.ts'
import { keyValueStore, storeSpec, type Wiring, windowStore } from './wiring.ts'

/** The store called `name`, if `node` declared it. */
export function storeView(
  { run, stores, subTopology }: Wiring,
  node: { readonly name: string; readonly stores: readonly string[] },
  name: string,
): OrderedKeyValueStore<unknown, unknown> | ReadableWindowStore<unknown, unknown> {
  if (!node.stores.includes(name)) {
    throw new TopologyError('STORE_UNKNOWN', `${node.name} is not connected to a store "${name}"`)
  }
  const { kind } = storeSpec(subTopology, name)
  if (kind === 'key-value') return new KeyValueView(keyValueStore(stores, name), run)
  if (kind === 'window') return new WindowView(windowStore(stores, name))
  throw new TopologyError('UNSUPPORTED', `store "${name}" belongs to its ${kind} operator alone`)
}

class KeyValueView implements OrderedKeyValueStore<unknown, unknown> {
  readonly #store: KeyValueTaskStore<unknown, unknown>
  readonly #run: RunContext

  constructor(store: KeyValueTaskStore<unknown, unknown>, run: RunContext) {
    this.#store = store
    this.#run = run
  }

  get(key: unknown): unknown {
    return this.#store.get(key)
  }

  getTimed(key: unknown): TimedValue<unknown> | undefined {
    return this.#store.getTimed(key)
  }

  put(key: unknown, value: unknown): void {
    this.#store.put(this.#checked(key), value ?? null, this.#run.timestampMs)
  }

  delete(key: unknown): unknown {
    const value = this.#store.get(this.#checked(key))
    this.#store.put(key, null, this.#run.timestampMs)
    return value
  }

  range(range: KeyRange<unknown> = {}): Iterable<readonly [unknown, unknown]> {
    return this.#store.range(range)
  }

  #checked(key: unknown): unknown {
    if (key !== null && key !== undefined) return key
    throw new TopologyError('OPTION_INVALID', `store ${this.#store.name}: a key must not be null`)
  }
}

/** Read only: a windowed table's rows belong to its aggregation. */
class WindowView implements ReadableWindowStore<unknown, unknown> {
  readonly #store: WindowTaskStore<unknown, unknown>

  constructor(store: WindowTaskStore<unknown, unknown>) {
    this.#store = store
  }

  get(key: unknown, windowStartMs: number): unknown {
    return this.#store.getTimed(key, windowStartMs)?.value
  }

  fetch(key: unknown, fromMs: number, toMs: number): Iterable<WindowEntry<unknown, unknown>> {
    return this.#store.fetch(key, fromMs, toMs)
  }
}
