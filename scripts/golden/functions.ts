/**
 * The vectors' small functions by name: predicates, value and key functions, flat maps, joiners, aggregators, reducers.
 *
 * Invariant: a name that is not in these tables makes a scenario unsupported; none is silently replaced.
 */
import type { FunctionSpec } from './scenario.ts'
import { isWindowed, larger, text, type ValueType } from './values.ts'

/** What a scenario's own functions throw. */
export class ScenarioFailure extends Error {
  override readonly name = 'ScenarioFailure'
}

type Fn<A extends readonly unknown[], R> = (spec: Spec) => (...args: A) => R
interface Spec {
  readonly arg: string
  readonly number: number
}
/** Functions take `(value, key)`, as ours do; the vectors write `(key, value)`. */
interface Typed {
  readonly make: Fn<[value: unknown, key: unknown], unknown>
  readonly type: 'string' | 'long' | 'same'
}

const isLong = (value: unknown): value is bigint | number =>
  typeof value === 'bigint' || typeof value === 'number'
const big = (value: unknown): bigint => (isLong(value) ? BigInt(value) : 0n)
const fail = (spec: Spec, value: unknown): void => {
  if (text(value) === spec.arg) throw new ScenarioFailure(`value is ${spec.arg}`)
}

export const predicates: Readonly<Record<string, Fn<[value: unknown, key: unknown], boolean>>> = {
  always: () => () => true,
  never: () => () => false,
  valueNotNull: () => (value) => value !== null,
  valueIsNull: () => (value) => value === null,
  valueEquals: (spec) => (value) => value !== null && text(value) === spec.arg,
  valueContains: (spec) => (value) => value !== null && text(value).includes(spec.arg),
  valueStartsWith: (spec) => (value) => value !== null && text(value).startsWith(spec.arg),
  valueLengthGreaterThan: (spec) => (value) => value !== null && text(value).length > spec.number,
  valueGreaterThan: (spec) => (value) => isLong(value) && big(value) > BigInt(spec.number),
  valueEven: () => (value) => isLong(value) && big(value) % 2n === 0n,
  keyEquals: (spec) => (_value, key) => text(key) === spec.arg,
  keyStartsWith: (spec) => (_value, key) => text(key).startsWith(spec.arg),
  keyNotNull: () => (_value, key) => key !== null,
  throwIfValueEquals: (spec) => (value) => {
    fail(spec, value)
    return true
  },
}

const piece = (value: unknown, index: number): string | null => {
  if (value === null) return null
  return text(value).split(':')[index] || null
}
const upper = (value: unknown): unknown => (value === null ? null : text(value).toUpperCase())
const wrap = (value: bigint): bigint => BigInt.asIntN(64, value)

const valueTable: Readonly<Record<string, Typed>> = {
  identity: { type: 'same', make: () => (value) => value },
  upper: { type: 'string', make: () => upper },
  append: { type: 'string', make: (spec) => (value) => text(value) + spec.arg },
  prepend: { type: 'string', make: (spec) => (value) => spec.arg + text(value) },
  length: {
    type: 'long',
    make: () => (value) => (value === null ? null : BigInt(text(value).length)),
  },
  parseLong: {
    type: 'long',
    make: () => (value) => (/^[+-]?\d+$/.test(text(value)) ? BigInt(text(value)) : null),
  },
  plus: {
    type: 'long',
    make: (spec) => (value) => (isLong(value) ? wrap(big(value) + BigInt(spec.number)) : null),
  },
  timesTwo: { type: 'long', make: () => (value) => (isLong(value) ? wrap(big(value) * 2n) : null) },
  constant: { type: 'string', make: (spec) => () => spec.arg },
  toNull: { type: 'same', make: () => () => null },
  nullIf: { type: 'same', make: (spec) => (value) => (text(value) === spec.arg ? null : value) },
  throwIf: {
    type: 'same',
    make: (spec) => (value) => {
      fail(spec, value)
      return value
    },
  },
  withKey: { type: 'string', make: () => (value, key) => `${text(key)}:${text(value)}` },
  part: { type: 'string', make: (spec) => (value) => piece(value, spec.number) },
}

/** A map, because a record's own `toString` would hide the function of that name. */
export const valueFunctions: ReadonlyMap<string, Typed> = new Map<string, Typed>([
  ...Object.entries(valueTable),
  ['toString', { type: 'string', make: () => (value) => text(value) }],
])

const orNull =
  (of: (x: unknown) => unknown) =>
  (x: unknown): unknown =>
    x === null ? null : of(x)
const firstUnit = orNull((x) => text(x)[0] ?? null)

export const keyFunctions: Readonly<Record<string, Typed>> = {
  sameKey: { type: 'same', make: () => (_value, key) => key },
  valueAsKey: { type: 'string', make: () => (value) => orNull(text)(value) },
  firstLetterOfValue: { type: 'string', make: () => (value) => firstUnit(value) },
  firstLetterOfKey: { type: 'string', make: () => (_value, key) => firstUnit(key) },
  appendToKey: {
    type: 'string',
    make: (spec) => (_value, key) => orNull((x) => text(x) + spec.arg)(key),
  },
  constantKey: { type: 'string', make: (spec) => () => spec.arg },
  nullKey: { type: 'string', make: () => () => null },
  nullKeyIfValue: {
    type: 'string',
    make: (spec) => (value, key) => (text(value) === spec.arg ? null : orNull(text)(key)),
  },
  valuePart: { type: 'string', make: (spec) => (value) => piece(value, spec.number) },
  valueLength: {
    type: 'long',
    make: () => (value) => orNull((x) => BigInt(text(x).length))(value),
  },
  unwindow: { type: 'string', make: () => (_value, key) => (isWindowed(key) ? key.key : key) },
  keyToString: { type: 'string', make: () => (_value, key) => orNull(text)(key) },
  throwIfValueEquals: {
    type: 'string',
    make: (spec) => (value, key) => {
      fail(spec, value)
      return orNull(text)(key)
    },
  },
}

type FlatValues = Fn<[value: unknown], Iterable<unknown>>
export const flatMapValuesFunctions: Readonly<
  Record<string, { readonly make: FlatValues; readonly type: 'string' | 'same' }>
> = {
  splitWords: {
    type: 'string',
    make: () => (value) => (value === null ? [] : text(value).split(' ').filter(Boolean)),
  },
  chars: { type: 'string', make: () => (value) => (value === null ? [] : text(value).split('')) },
  repeat: {
    type: 'same',
    make: (spec) => (value) => Array.from({ length: spec.number }, () => value),
  },
  none: { type: 'same', make: () => () => [] },
}

type FlatPairs = Fn<[value: unknown, key: unknown], Iterable<readonly [unknown, unknown]>>
export const flatMapFunctions: Readonly<Record<string, FlatPairs>> = {
  wordsAsKeys: () => (value) =>
    value === null
      ? []
      : text(value)
          .split(' ')
          .filter(Boolean)
          .map((word) => [word, text(value)] as const),
  swap: () => (value, key) => [[orNull(text)(value), orNull(text)(key)]],
  numbered: (spec) => (value, key) =>
    Array.from(
      { length: spec.number },
      (_, i) => [`${text(key)}#${i}`, orNull(text)(value)] as const,
    ),
}

const concat = (a: unknown, b: unknown): string => `${text(a)}+${text(b)}`
const sum = (a: unknown, b: unknown): bigint => wrap(big(a) + big(b))
const minus = (a: unknown, b: unknown): bigint => wrap(big(a) - big(b))
const lengthOf = (value: unknown): bigint => (value === null ? 0n : BigInt(text(value).length))

export const joiners: Readonly<
  Record<
    string,
    {
      readonly type: 'string' | 'long'
      readonly join: (l: unknown, r: unknown, k: unknown) => unknown
    }
  >
> = {
  concat: { type: 'string', join: concat },
  concatWithKey: { type: 'string', join: (l, r, k) => `${text(k)}:${concat(l, r)}` },
  sum: { type: 'long', join: sum },
  nullIfEqual: { type: 'string', join: (l, r) => (text(l) === text(r) ? null : concat(l, r)) },
  right: { type: 'string', join: (_l, r) => orNull(text)(r) },
  throwIfEqual: {
    type: 'string',
    join: (l, r) => {
      if (text(l) === text(r)) throw new ScenarioFailure('sides are equal')
      return concat(l, r)
    },
  },
}

/** `(aggregate, value, key)`, as ours. */
type Aggregate = Fn<[aggregate: unknown, value: unknown, key: unknown], unknown>
export const aggregators: Readonly<
  Record<string, { readonly make: Aggregate; readonly type: 'string' | 'long' | 'same' }>
> = {
  concat: { type: 'string', make: () => (agg, value) => concat(agg, value) },
  remove: { type: 'string', make: () => (agg, value) => `${text(agg)}-${text(value)}` },
  concatKeyed: {
    type: 'string',
    make: () => (agg, value, key) => `${text(agg)},${text(key)}=${text(value)}`,
  },
  max: {
    type: 'string',
    make: () => (agg, value) => (value === null || !larger(value, agg) ? agg : text(value)),
  },
  min: {
    type: 'string',
    make: () => (agg, value) => {
      if (value === null) return agg
      return agg === '' || larger(agg, value) ? text(value) : agg
    },
  },
  last: { type: 'string', make: () => (_agg, value) => orNull(text)(value) },
  keep: { type: 'same', make: () => (agg) => agg },
  concatOrNull: {
    type: 'string',
    make: (spec) => (agg, value) => (text(value) === spec.arg ? null : concat(agg, value)),
  },
  sum: { type: 'long', make: () => (agg, value) => sum(agg, value) },
  minus: { type: 'long', make: () => (agg, value) => minus(agg, value) },
  sumLength: { type: 'long', make: () => (agg, value) => sum(agg, lengthOf(value)) },
  minusLength: { type: 'long', make: () => (agg, value) => minus(agg, lengthOf(value)) },
  count: { type: 'long', make: () => (agg) => sum(agg, 1n) },
  uncount: { type: 'long', make: () => (agg) => minus(agg, 1n) },
}

type Reduce = Fn<[aggregate: unknown, value: unknown], unknown>
export const reducers: Readonly<Record<string, Reduce>> = {
  concat: () => concat,
  remove: () => (agg, value) => `${text(agg)}-${text(value)}`,
  concatOrNull: (spec) => (agg, value) => (text(value) === spec.arg ? null : concat(agg, value)),
  sum: () => sum,
  minus: () => minus,
  first: () => (agg) => agg,
  last: () => (_agg, value) => value,
  max: () => (agg, value) => (value !== null && (agg === null || larger(value, agg)) ? value : agg),
  min: () => (agg, value) => (value !== null && (agg === null || larger(agg, value)) ? value : agg),
}

/** The argument in both readings; the vectors call it `arg`. */
export function specOf(spec: FunctionSpec): Spec {
  const arg = spec.arg
  return { arg: String(arg ?? ''), number: Number(arg ?? 0) }
}

/** The type of a result, given the type that `same` stands for. */
export function resultType(declared: 'string' | 'long' | 'same', same: ValueType): ValueType {
  return declared === 'same' ? same : declared
}
