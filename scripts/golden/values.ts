/**
 * Values as the vectors write them, and `text(x)`, on which most of their functions rest.
 *
 * Invariant: a `long` is a bigint inside a scenario, so that no 64-bit number loses a digit; counts come as numbers.
 */
import { bigint64, string, windowed, type Serde, type Windowed } from '#topology'

/** The types a scenario knows; a windowed key names the type of its inner key and the size of its window. */
export type ValueType =
  'string' | 'long' | { readonly windowed: ValueType; readonly sizeMs: number }

export function isWindowed(value: unknown): value is Windowed<unknown> {
  return typeof value === 'object' && value !== null && 'window' in value && 'key' in value
}

export function text(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (isWindowed(value)) return `${text(value.key)}@${value.window.startMs}-${value.window.endMs}`
  return String(value)
}

/** A scenario's JSON as a value of `type`. */
export function fromJson(value: unknown, type: ValueType): unknown {
  if (value === null || value === undefined) return null
  return type === 'long' ? BigInt(value as string | number) : value
}

/** A value as the vectors write it: safe integers as numbers, larger ones as text. */
export function toJson(value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  if (isWindowed(value))
    return { key: toJson(value.key), start: value.window.startMs, end: value.window.endMs }
  return value
}

export function toHex(bytes: Uint8Array | null | undefined): string | null {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('hex')
}

/** Comparison by UTF-16 units, which is what JavaScript's `<` does for strings. */
export function larger(a: unknown, b: unknown): boolean {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a > b
  return text(a) > text(b)
}

const int64 = bigint64()
const asBigint = (value: unknown): bigint => BigInt(value as bigint | number)
const longSerde: Serde<unknown> = {
  name: 'long',
  encode: (value) => int64.encode(asBigint(value)),
  decode: (bytes) => int64.decode(bytes),
  write: (value, target) => int64.write(asBigint(value), target),
  read: (source, start, end) => int64.read(source, start, end),
  get trusted() {
    return longSerde
  },
}

export function serdeOf(type: ValueType): Serde<unknown> {
  if (type === 'long') return longSerde
  if (type === 'string') return string() as Serde<unknown>
  return windowed(serdeOf(type.windowed), type.sizeMs) as Serde<unknown>
}
