/**
 * Values as JSON, checked by a schema where they enter from outside.
 *
 * Invariant: the bytes are `JSON.stringify`'s; the schema only decides what is let in.
 */
import type { Buffer } from 'node:buffer'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { ByteWriter } from '#system'
import type { Serde } from './serde.ts'
import { TopologyError } from './topology.ts'
import { refuse, WrittenSerde } from './written-serde.ts'

class PlainJsonSerde extends WrittenSerde<unknown> {
  readonly name: string = 'json'

  write(value: unknown, target: ByteWriter): void {
    target.utf8(stringify(value))
  }

  read(source: Buffer, start: number, end: number): unknown {
    const text = source.utf8Slice(start, end)
    try {
      return JSON.parse(text)
    } catch (cause) {
      return refuse('json', 'not JSON', cause)
    }
  }
}

function stringify(value: unknown): string {
  try {
    const text = JSON.stringify(value)
    if (text !== undefined) return text
  } catch (cause) {
    return refuse('json', 'the value cannot be written as JSON', cause)
  }
  return refuse('json', `${typeof value} cannot be written as JSON`)
}

const plain: Serde<unknown> = new PlainJsonSerde()

class CheckedJsonSerde<T> extends WrittenSerde<T> {
  readonly name: string = 'json'
  readonly #schema: StandardSchemaV1<unknown, T>

  constructor(schema: StandardSchemaV1<unknown, T>) {
    super()
    this.#schema = schema
  }

  override get trusted(): Serde<T> {
    return plain as Serde<T>
  }

  write(value: T, target: ByteWriter): void {
    plain.write(value, target)
  }

  read(source: Buffer, start: number, end: number): T {
    const result = this.#schema['~standard'].validate(plain.read(source, start, end))
    if (result instanceof Promise) return refuseAsync(result)
    if (result.issues !== undefined) return refuse('json', textOf(result.issues))
    return result.value
  }
}

/**
 * JSON whose values a schema checks (any Standard Schema: Valibot, Zod, ArkType): once, where a record enters from outside.
 * Without a schema nothing is checked and nothing is known. The schema must take what it gives, since what is written is
 * what it gave.
 */
export function json(): Serde<unknown>
export function json<S extends StandardSchemaV1>(
  schema: S & TakesWhatItGives<S>,
): Serde<StandardSchemaV1.InferOutput<S>>
export function json(schema?: StandardSchemaV1): Serde<unknown> {
  if (schema === undefined) return plain
  refuseIfAsync(schema)
  return new CheckedJsonSerde(schema)
}

type TakesWhatItGives<S extends StandardSchemaV1> =
  StandardSchemaV1.InferOutput<S> extends StandardSchemaV1.InferInput<S> ? unknown : never

/** Most asynchronous schemas answer anything with a promise, so that they are found out before the first record. */
function refuseIfAsync(schema: StandardSchemaV1): void {
  let result: unknown
  try {
    result = schema['~standard'].validate(undefined)
  } catch {
    return // It will say so again, about a real value.
  }
  if (result instanceof Promise) refuseAsync(result)
}

function refuseAsync(result: Promise<unknown>): never {
  result.catch(() => {}) // Nobody waits for it.
  throw new TopologyError(
    'SCHEMA_ASYNC',
    'the schema validates asynchronously, and records are processed without waiting: use a synchronous one',
  )
}

const ISSUES_SHOWN = 3

function textOf(issues: readonly StandardSchemaV1.Issue[]): string {
  const texts = issues.slice(0, ISSUES_SHOWN).map(({ message, path }) => {
    const keys = path?.map((step) => String(typeof step === 'object' ? step.key : step)) ?? []
    return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
  })
  return texts.join('; ')
}
