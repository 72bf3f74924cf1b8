/**
 * Which types JSON gives back as they were: what may be kept without a serde of its own.
 */

/** T where JSON gives it back; a type with `never` in it where not (functions and so methods, bigint, symbol, Map, Date). */
type Json<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends bigint | symbol | ((...parameters: never[]) => unknown)
    ? never
    : T extends object
      ? { readonly [Name in keyof T]: Json<T[Name]> }
      : never

/** `unknown` passes: it is also what the compiler has before it has inferred a type. */
type IsKeptAsJson<V> = unknown extends V ? true : [V] extends [Json<V>] ? true : false

/**
 * The last argument of an operator that keeps values of type V. JSON is the default; a V that JSON would not give back (a
 * Map, a Date, a bigint, a class with methods) must bring its serde: `{ value: … }`.
 */
export type KeepsValue<V, Options, Serde> =
  IsKeptAsJson<V> extends true
    ? [options?: Options & { readonly value?: Serde }]
    : [options: Options & { readonly value: Serde }]

type IsString<K> = unknown extends K ? true : [K] extends [string] ? true : false

/** Keys are strings unless a serde says otherwise: another K must bring its serde: `{ key: … }`. */
export type KeepsKey<K, Options, Serde> =
  IsString<K> extends true
    ? [options?: Options & { readonly key?: Serde }]
    : [options: Options & { readonly key: Serde }]
