/**
 * Which serdes a call must bring: none for strings as keys and for values that JSON gives back as they were.
 *
 * Invariant: what would be kept wrongly without a serde does not compile without one.
 */
import type { Serde } from './serde.ts'

/** T where JSON gives it back; a type with `never` in it where not (functions and so methods, bigint, symbol, Map, Date). */
type Json<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends bigint | symbol | ((...parameters: never[]) => unknown)
    ? never
    : T extends object
      ? { readonly [Name in keyof T]: Json<T[Name]> }
      : never

/** `unknown` passes in both: it is also what the compiler has before it has inferred a type. */
type IsKeptAsJson<V> = unknown extends V ? true : [V] extends [Json<V>] ? true : false
type IsString<K> = unknown extends K ? true : [K] extends [string] ? true : false

/**
 * Values are kept as JSON. A type that JSON would not give back (a Map, a Date, a bigint, a class with methods) must bring
 * its serde: `{ value: … }`.
 */
export type ValueOption<V> =
  IsKeptAsJson<V> extends true ? { readonly value?: Serde<V> } : { readonly value: Serde<V> }

/** Keys are strings. Another type must bring its serde: `{ key: … }`. */
export type KeyOption<K> =
  IsString<K> extends true ? { readonly key?: Serde<K> } : { readonly key: Serde<K> }

/** The last argument: options that may be left out if nothing in them must be said. */
export type Options<O> = Partial<O> extends O ? [options?: O] : [options: O]
