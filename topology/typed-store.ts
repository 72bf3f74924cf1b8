/**
 * A store as a program declares it, to be named by the processors that use it and by whoever queries it.
 *
 * Invariant: a declaration is only a description; each task opens a store of its own.
 */
import { legalName } from './names.ts'
import type { KeyValueStore, OrderedKeyValueStore, ReadableWindowStore } from './processor.ts'
import type { Serde } from './serde.ts'
import type { Windowed } from './windowed.ts'

export interface StoreOptions {
  /** False: no changelog; the contents are lost with the disk. */
  readonly logged?: boolean
  /** Keeps each value's time beside it, as the stores of tables do. */
  readonly timestamped?: boolean
  readonly backend?: 'level' | 'sqlite' | 'memory'
  /** `withCachingEnabled`, for a builder with `caching`: the changelog gets a key's last put of each commit, not every one. */
  readonly caching?: boolean
}

/** Also the typed handle for queries, by its name. */
export interface StoreDeclaration<out K, out V, out O extends boolean = boolean> {
  readonly name: string
  readonly kind: 'store'
  readonly key: Serde<K>
  readonly value: Serde<V>
  readonly ordered: O
  readonly options: StoreOptions
  /** Never there at run time: lets the compiler find K and V. */
  readonly '~types'?: { readonly key: K; readonly value: V }
}

/** Whatever is known by a store's name: a declared store, or a stored table. */
export interface StoreHandle<out K, out V> {
  readonly name: string
  readonly '~types'?: { readonly key: K; readonly value: V }
}

/** What a processor may touch, by the names that it uses. */
export type StoreHandles = Readonly<Record<string, StoreHandle<unknown, unknown>>>

/** The same, open. A windowed table is written by its aggregation only. */
export type OpenStores<S extends StoreHandles> = {
  readonly [Name in keyof S]: OpenStore<S[Name]>
}

type OpenStore<S> =
  S extends StoreDeclaration<infer K, infer V, infer O>
    ? O extends true
      ? OrderedKeyValueStore<K, V>
      : KeyValueStore<K, V>
    : S extends StoreHandle<infer K, infer V>
      ? K extends Windowed<infer Inner>
        ? ReadableWindowStore<Inner, V>
        : KeyValueStore<K, V>
      : never

/** Declares a store: `store('inventory', { key: string(), value: json(Stock) })`. */
export function store<K, V, const O extends boolean = false>(
  name: string,
  options: {
    readonly key: Serde<K>
    readonly value: Serde<V>
    /** Ranges are asked for: needs an ordered backend (sqlite or memory). */
    readonly ordered?: O
  } & StoreOptions,
): StoreDeclaration<K, V, O> {
  const { key, value, ordered = false as O } = options
  return Object.freeze({ name: legalName(name), kind: 'store', key, value, ordered, options })
}
