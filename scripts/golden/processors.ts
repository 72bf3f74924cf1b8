/**
 * The vectors' processors by name, written against the public processor interface.
 *
 * Invariant: one that uses a store ignores null keys, except `joinWithStore`.
 */
import type {
  OrderedKeyValueStore,
  ProcessorContext,
  ProcessorInstance,
  StreamRecord,
} from '#topology'
import type { FunctionSpec } from './scenario.ts'
import { text, type ValueType } from './values.ts'

type Context = ProcessorContext<unknown, unknown>
type Incoming = StreamRecord<unknown, unknown>
type Store = OrderedKeyValueStore<string, unknown>
export type GoldenProcessor = ProcessorInstance<unknown, unknown, unknown, unknown>

interface Recipe {
  /** Types of what it forwards; `same` keeps the input's. */
  readonly key: 'same' | 'string'
  readonly value: 'same' | 'string' | 'long'
  /** `timed`: the store keeps times, as the stores of tables do. */
  make(spec: FunctionSpec, storeName: string, timed: boolean): GoldenProcessor
}

/** A processor that handles a record with its context and, if it names one, its store. */
function each(
  handle: (
    record: Incoming,
    context: Context,
    store: Store,
    spec: FunctionSpec,
    timed: boolean,
  ) => void,
  start: (context: Context, store: Store, spec: FunctionSpec) => void = () => {},
): Recipe['make'] {
  return (spec, storeName, timed) => {
    let context: Context
    let store: Store
    return {
      init(given) {
        context = given
        store = (storeName === '' ? undefined : given.store(storeName)) as Store
        start(context, store, spec)
      },
      process: (record) => handle(record, context, store, spec, timed),
    }
  }
}
const keyed =
  (handle: (record: Incoming, context: Context, store: Store) => void) =>
  (record: Incoming, context: Context, store: Store): void => {
    if (record.key !== null) handle(record, context, store)
  }
const name = (key: unknown): string => key as string
const number = (spec: FunctionSpec, field = 'arg'): number => Number(spec[field])
const clockOf = (spec: FunctionSpec): 'wall-clock' | 'stream-time' =>
  spec['clock'] === 'wall' ? 'wall-clock' : 'stream-time'

const metadata = ({ metadata: { topic, partition, offset } }: Context): string =>
  `${topic}/${partition}/${offset}`

const utf8 = new TextEncoder()
const fromUtf8 = new TextDecoder()

/** Forwards each record with its value as text, and at each tick how many it has seen. */
function counting(type: 'wall-clock' | 'stream-time'): Recipe['make'] {
  return (spec) => {
    let context: Context
    let seen = 0
    return {
      init(given) {
        context = given
        given.schedule(number(spec), type, (nowMs) => {
          const value = `${seen}@${nowMs}|${metadata(context)}`
          context.forward({ key: 'tick', value, timestampMs: nowMs, headers: [] })
        })
      },
      process(record) {
        seen += 1
        context.forward({ ...record, value: text(record.value) })
      },
    }
  }
}

function ticking(): Recipe['make'] {
  return (spec) => ({
    init(context) {
      let fired = 0
      const schedule = context.schedule(number(spec), clockOf(spec), (nowMs) => {
        fired += 1
        context.forward({ key: 'tick', value: `t@${nowMs}`, timestampMs: nowMs, headers: [] })
        if (fired === number(spec, 'times')) schedule.cancel()
      })
    },
    process() {},
  })
}

const flushing = each(
  keyed((record, _context, store) => {
    store.put(name(record.key), record.value === null ? null : text(record.value))
  }),
  (context, store, spec) => {
    context.schedule(number(spec), clockOf(spec), (nowMs) => {
      for (const [key, value] of Array.from(store.range())) {
        context.forward({ key, value, timestampMs: nowMs, headers: [] })
        store.delete(key)
      }
    })
  },
)

const list = (entries: Iterable<readonly [unknown, unknown]>): string =>
  [...entries].map(([key, value]) => `${text(key)}=${text(value)};`).join('')

export const processors: Readonly<Record<string, Recipe>> = {
  dedupByKey: {
    key: 'same',
    value: 'same',
    make: each(
      keyed((record, context, store) => {
        if (store.get(name(record.key)) !== undefined) return
        store.put(name(record.key), text(record.value))
        context.forward(record)
      }),
    ),
  },
  dedupByValue: {
    key: 'same',
    value: 'same',
    make: each(
      keyed((record, context, store) => {
        if (store.get(name(record.key)) === text(record.value)) return
        store.put(name(record.key), text(record.value))
        context.forward(record)
      }),
    ),
  },
  keepLatest: {
    key: 'same',
    value: 'same',
    make: each(
      keyed((record, context, store) => {
        const stored = store.get(name(record.key))
        if (stored !== undefined && record.timestampMs < Number(stored)) return
        store.put(name(record.key), String(record.timestampMs))
        context.forward(record)
      }),
    ),
  },
  countByKey: {
    key: 'same',
    value: 'long',
    make: each(
      keyed((record, context, store) => {
        if (record.value === null) {
          store.delete(name(record.key))
          context.forward({ ...record, value: null })
          return
        }
        const count = ((store.get(name(record.key)) as bigint | undefined) ?? 0n) + 1n
        store.put(name(record.key), count)
        context.forward({ ...record, value: count })
      }),
    ),
  },
  joinWithStore: {
    key: 'same',
    value: 'string',
    make: each((record, context, store, _spec, timed) => {
      const stored = record.key === null ? undefined : store.getTimed(name(record.key))
      const time = stored !== undefined && timed ? `@${stored.timestampMs}` : ''
      const found = text(stored?.value) + time
      context.forward({ ...record, value: `${text(record.value)}/${found}` })
    }),
  },
  forwardTwice: {
    key: 'same',
    value: 'same',
    make: each((record, context) => {
      context.forward(record)
      context.forward(record)
    }),
  },
  shiftTimestamp: {
    key: 'same',
    value: 'same',
    make: each((record, context, _store, spec) =>
      context.forward({ ...record, timestampMs: record.timestampMs + number(spec) }),
    ),
  },
  appendTimestamp: {
    key: 'same',
    value: 'string',
    make: each((record, context) =>
      context.forward({ ...record, value: `${text(record.value)}@${record.timestampMs}` }),
    ),
  },
  setHeader: {
    key: 'same',
    value: 'same',
    make: each((record, context, _store, spec) => {
      const header = [String(spec.arg), utf8.encode(text(record.value))] as const
      context.forward({ ...record, headers: [...record.headers, header] })
    }),
  },
  headersToValue: {
    key: 'same',
    value: 'string',
    make: each((record, context) => {
      const headers = record.headers.map(
        ([header, value]) => `;${header}=${value === null ? 'null' : fromUtf8.decode(value)}`,
      )
      context.forward({ ...record, value: text(record.value) + headers.join('') })
    }),
  },
  metadataToValue: {
    key: 'same',
    value: 'string',
    make: each((record, context) =>
      context.forward({ ...record, value: `${text(record.value)}|${metadata(context)}` }),
    ),
  },
  timeToValue: {
    key: 'same',
    value: 'string',
    make: each((record, context) => {
      const times = `|st=${context.streamTimeMs},wc=${context.wallClockMs}`
      context.forward({ ...record, value: text(record.value) + times })
    }),
  },
  swapKeyValue: {
    key: 'string',
    value: 'string',
    make: each((record, context) =>
      context.forward({
        ...record,
        key: record.value === null ? null : text(record.value),
        value: record.key === null ? null : text(record.key),
      }),
    ),
  },
  punctuateStreamTime: { key: 'same', value: 'string', make: counting('stream-time') },
  punctuateWallClock: { key: 'same', value: 'string', make: counting('wall-clock') },
  punctuateTimes: { key: 'same', value: 'string', make: ticking() },
  flushOnPunctuate: { key: 'same', value: 'string', make: flushing },
  rangeToValue: {
    key: 'same',
    value: 'string',
    make: each(
      keyed((record, context, store) => {
        const key = name(record.key)
        store.put(key, record.value === null ? null : text(record.value))
        const upTo = list(store.range({ to: key }))
        const from = list(store.range({ from: key, reverse: true }))
        context.forward({ ...record, value: `${upTo}/${from}` })
      }),
    ),
  },
}

/** Whose stores hold numbers; every other new store holds text. */
export function storeValueType(fn: string): ValueType {
  return fn === 'countByKey' ? 'long' : 'string'
}
/** Ranges over its store. */
export function needsRange(fn: string): boolean {
  return fn === 'rangeToValue' || fn === 'flushOnPunctuate'
}
