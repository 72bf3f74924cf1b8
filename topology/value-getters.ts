/**
 * How a join reads a table that may not be stored: from the nearest stored table above it, through the filters and mappers
 * in between.
 *
 * Invariant: a getter answers what the table's operator last sent for the key.
 */
import type { KeyValueTaskStore, SuppressTaskStore, WindowTaskStore } from '#state'
import type { AnySerde, Predicate, TopologyNode, ValueMapper } from './node.ts'
import type { ValueGetter } from './processor.ts'
import { TopologyError } from './topology.ts'
import {
  keyValueStore,
  type NodeOf,
  storeSpec,
  taskStore,
  type Wiring,
  windowStore,
} from './wiring.ts'
import type { Windowed } from './windowed.ts'

type TimedAnswer = ReturnType<ValueGetter['get']>

/** The getter of the table whose node is called `table`. */
export function valueGetter(wiring: Wiring, table: string): ValueGetter {
  const node = nodeOf(wiring, table)
  switch (node.kind) {
    case 'table-source':
    case 'to-table':
      if (node.store === undefined) break
      return new StoredGetter(keyValueStore(wiring.stores, node.store))
    case 'aggregate':
      return new StoredGetter(keyValueStore(wiring.stores, node.store))
    case 'window-aggregate':
      return new WindowGetter(windowStore(wiring.stores, node.store))
    case 'table-filter':
      if (node.store !== undefined)
        return new StoredGetter(keyValueStore(wiring.stores, node.store))
      return new FilterGetter(parentGetter(wiring, node), node.predicate, node.keep)
    case 'table-map-values':
      if (node.store !== undefined)
        return new StoredGetter(keyValueStore(wiring.stores, node.store))
      return new MapValuesGetter(parentGetter(wiring, node), node.mapper)
    case 'suppress':
      return new SuppressGetter(wiring, node, parentGetter(wiring, node))
    default:
  }
  throw new TopologyError('STORE_UNKNOWN', `${table} keeps no values that a join could read`)
}

function parentGetter(wiring: Wiring, node: TopologyNode): ValueGetter {
  return valueGetter(wiring, node.parents[0] ?? '')
}

function nodeOf(wiring: Wiring, name: string): TopologyNode {
  const node = wiring.subTopology.nodes.find((candidate) => candidate.name === name)
  if (node !== undefined) return node
  throw new TopologyError('STORE_UNKNOWN', `no table "${name}" in this sub-topology`)
}

class StoredGetter implements ValueGetter {
  readonly #store: KeyValueTaskStore<unknown, unknown>

  constructor(store: KeyValueTaskStore<unknown, unknown>) {
    this.#store = store
  }

  get(key: unknown): TimedAnswer {
    return this.#store.getTimed(key)
  }
}

class WindowGetter implements ValueGetter {
  readonly #store: WindowTaskStore<unknown, unknown>

  constructor(store: WindowTaskStore<unknown, unknown>) {
    this.#store = store
  }

  get(key: unknown): TimedAnswer {
    const { key: inner, window } = key as Windowed<unknown>
    return this.#store.getTimed(inner, window.startMs)
  }
}

class FilterGetter implements ValueGetter {
  readonly #parent: ValueGetter
  readonly #predicate: Predicate
  readonly #keep: boolean

  constructor(parent: ValueGetter, predicate: Predicate, keep: boolean) {
    this.#parent = parent
    this.#predicate = predicate
    this.#keep = keep
  }

  get(key: unknown): TimedAnswer {
    const found = this.#parent.get(key)
    if (found === undefined || this.#predicate(found.value, key) !== this.#keep) return undefined
    return found
  }
}

class MapValuesGetter implements ValueGetter {
  readonly #parent: ValueGetter
  readonly #mapper: ValueMapper

  constructor(parent: ValueGetter, mapper: ValueMapper) {
    this.#parent = parent
    this.#mapper = mapper
  }

  get(key: unknown): TimedAnswer {
    const found = this.#parent.get(key)
    if (found === undefined) return undefined
    const value = this.#mapper(found.value, key) ?? null
    return value === null ? undefined : { value, timestampMs: found.timestampMs }
  }
}

/** What was sent before buffering began, while a change waits (U5); its time is no longer known. */
class SuppressGetter implements ValueGetter {
  readonly #buffer: SuppressTaskStore
  readonly #key: AnySerde
  readonly #value: AnySerde
  readonly #parent: ValueGetter

  constructor(wiring: Wiring, node: NodeOf<'suppress'>, parent: ValueGetter) {
    const spec = storeSpec(wiring.subTopology, node.store)
    if (spec.kind !== 'suppress') {
      throw new TopologyError('STORE_UNKNOWN', `${node.store} is no suppress store`)
    }
    this.#buffer = taskStore(wiring.stores, node.store) as SuppressTaskStore
    this.#key = spec.key
    this.#value = spec.value
    this.#parent = parent
  }

  get(key: unknown): TimedAnswer {
    const buffered = this.#buffer.get(this.#key.encode(key))
    if (buffered === undefined) return this.#parent.get(key)
    if (buffered.priorValue === null) return undefined
    return { value: this.#value.decode(buffered.priorValue), timestampMs: -1 }
  }
}
