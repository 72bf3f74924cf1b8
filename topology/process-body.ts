/**
 * The ways to write a processor, as what a `process` node's supplier returns.
 *
 * Invariant: stores are opened before the first record and handed to the body by the names it uses.
 */
import type { RecordHeaders } from '#log'
import type {
  PairProcessor,
  ProcessorContext,
  ProcessorInstance,
  StreamRecord,
  UserProcessor,
  ValueProcessor,
} from './processor.ts'
import type { OpenStores, StoreHandles } from './typed-store.ts'

type Context = ProcessorContext<unknown, unknown>
type Opened = Readonly<Record<string, unknown>>
type Instance = ProcessorInstance<unknown, unknown, unknown, unknown>

/** A class processor: made once a task, with its stores open. */
export type ProcessorClass<S extends StoreHandles, KIn, VIn, KOut, VOut> = new (
  stores: OpenStores<S>,
) => ProcessorInstance<KIn, VIn, KOut, VOut>

/** `processValues` with a function. */
export type ValueBody = (value: unknown, stores: Opened, key: unknown) => unknown
/** `process` with a generator. */
export type PairBody = (
  value: unknown,
  stores: Opened,
  key: unknown,
) => Iterable<readonly [key: unknown, value: unknown]>

type ErasedClass = new (stores: Opened) => Instance

/** A class has a prototype that can process; a generator's has not, and an arrow function has none. */
export function isProcessorClass(body: unknown): body is ErasedClass {
  if (typeof body !== 'function') return false
  const prototype: unknown = body.prototype
  return typeof prototype === 'object' && prototype !== null && 'process' in prototype
}

/** `stores`: names of stores by the names that the body uses. */
export function classProcessor(
  processor: ErasedClass,
  stores: Readonly<Record<string, string>>,
): () => UserProcessor {
  return () => new LateProcessor(processor, stores)
}

export function valueProcessor(
  body: ValueBody,
  stores: Readonly<Record<string, string>>,
): () => ValueProcessor {
  return () => {
    let opened: Opened = {}
    return {
      init: (context) => {
        opened = open(context, stores)
      },
      processValue: (value, key) => body(value, opened, key),
    }
  }
}

export function pairProcessor(
  body: PairBody,
  stores: Readonly<Record<string, string>>,
): () => PairProcessor {
  return () => {
    let opened: Opened = {}
    return {
      init: (context) => {
        opened = open(context, stores)
      },
      processPairs: (value, key) => body(value, opened, key),
    }
  }
}

/** A header as programs write it: text is written as UTF-8. */
export type HeaderText = readonly [name: string, value: string | Uint8Array | null]

/** Adds headers to each record on its way to a sink. */
export function headerProcessor(
  headers: (value: unknown, key: unknown) => readonly HeaderText[],
): () => UserProcessor {
  return () => new HeaderProcessor(headers)
}

function open(context: Context, stores: Readonly<Record<string, string>>): Opened {
  const names = Object.entries(stores)
  return Object.fromEntries(names.map(([name, store]) => [name, context.store(store)]))
}

/** Waits with making the user's processor until its stores are there. */
class LateProcessor implements Instance {
  readonly #class: ErasedClass
  readonly #stores: Readonly<Record<string, string>>
  #made: Instance | undefined

  constructor(made: ErasedClass, stores: Readonly<Record<string, string>>) {
    this.#class = made
    this.#stores = stores
  }

  init(context: Context): void {
    this.#made = new this.#class(open(context, this.#stores))
    this.#made.init?.(context)
  }

  process(record: StreamRecord<unknown, unknown>): void {
    this.#made?.process(record)
  }

  close(): void {
    this.#made?.close?.()
  }
}

const utf8 = new TextEncoder()

class HeaderProcessor implements Instance {
  readonly #headers: (value: unknown, key: unknown) => readonly HeaderText[]
  #context: Context | undefined

  constructor(headers: (value: unknown, key: unknown) => readonly HeaderText[]) {
    this.#headers = headers
  }

  init(context: Context): void {
    this.#context = context
  }

  process(record: StreamRecord<unknown, unknown>): void {
    const added: RecordHeaders = this.#headers(record.value, record.key).map(([name, value]) => [
      name,
      typeof value === 'string' ? utf8.encode(value) : value,
    ])
    this.#context?.forward({ ...record, headers: [...record.headers, ...added] })
  }
}
