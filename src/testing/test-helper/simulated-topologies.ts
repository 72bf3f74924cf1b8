/**
 * The applications that are simulated before every release: small ones, chosen so that each way of keeping state, of telling time
 * and of going wrong is in one of them.
 *
 * Invariant: a name stays what it is: kept seeds go by it.
 */
import type { Reference, SimulatedInput, SimulationOptions } from '../index.ts'
import { CONSEQUENCES, FAULTS, inputTo } from '../index.ts'
import {
  long,
  store,
  string,
  StreamsBuilder,
  topic,
  tumbling,
  type KeyValueStore,
  type ProcessorContext,
  type PunctuationType,
  type StreamRecord,
  type Topology,
} from '#topology'

export interface SimulatedTopology {
  readonly name: string
  readonly topology: Topology
  readonly options: Omit<SimulationOptions, 'seed'>
}

const words = topic('words', { key: string(), value: string() })
const texts = topic('texts', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const others = topic('others', { key: string(), value: long() })

function word({ random }: { readonly random: { below(limit: number): number } }): SimulatedInput {
  return inputTo(words, `key-${random.below(5)}`, `value-${random.below(3)}`)
}

/** Counts one up for each record of a key, and says so. */
function countUp(target: typeof counts, keyOf: 'key' | 'value'): ReturnType<Reference> {
  const seen = new Map<string, number>()
  return {
    take(record) {
      const bytes = record[keyOf]
      if (bytes === null) return []
      const key = new TextDecoder().decode(bytes)
      seen.set(key, (seen.get(key) ?? 0) + 1)
      return [inputTo(target, key, seen.get(key) ?? 0)]
    },
  }
}

// -------------------------------------------------------------- counting

/** By key, and by value behind a repartition topic. */
function counting(): SimulatedTopology {
  const builder = new StreamsBuilder('counting')
  const stream = builder.stream(words)
  stream.groupByKey().count('by-key').toStream().to(counts)
  stream
    .selectKey((value) => value)
    .repartition('value')
    .groupByKey()
    .count('by-value')
    .toStream()
    .to(others)
  const reference: Reference = ({ subTopology }) =>
    subTopology === 1 ? countUp(others, 'key') : undefined
  return { name: 'counting', topology: builder.build(), options: { input: word, reference } }
}

// -------------------------------------------------------------- stock

const orders = topic('orders', { key: string(), value: long() })
const stock = topic('stock', { key: string(), value: long() })
const reserved = topic('reserved', { key: string(), value: long() })
const POISON = 13

/** Two inputs that share a store, so that their order decides; and orders that throw after they have taken from it. */
function reserving(): SimulatedTopology {
  const shelf = store('shelf', { key: string(), value: long() })
  const builder = new StreamsBuilder('reserving')
  builder.stream(stock).processValues('restock', { shelf }, (quantity, { shelf }, item) => {
    shelf.put(item, (shelf.get(item) ?? 0) + quantity)
    return undefined
  })
  builder
    .stream(orders)
    .processValues('reserve', { shelf }, (quantity, { shelf }, item) => {
      const available = shelf.get(item) ?? 0
      shelf.put(item, available - quantity)
      if (quantity === POISON) throw new RangeError('nobody orders thirteen')
      if (available >= quantity) return quantity
      shelf.put(item, available)
      return -quantity
    })
    .to(reserved)
  return {
    name: 'reserving',
    topology: builder.build(),
    options: {
      input: ({ random }) => {
        const item = `item-${random.below(3)}`
        if (random.chance(0.3)) return inputTo(stock, item, random.between(1, 8))
        return inputTo(orders, item, random.chance(0.06) ? POISON : random.between(1, 4))
      },
      reference: () => {
        const left = new Map<string, number>()
        return {
          take({ topic: from, key, value }) {
            if (key === null || value === null) return []
            const item = new TextDecoder().decode(key)
            const quantity = long().decode(value)
            const available = left.get(item) ?? 0
            if (from === 'stock') left.set(item, available + quantity)
            if (from === 'stock' || quantity === POISON) return []
            if (available < quantity) return [inputTo(reserved, item, -quantity)]
            left.set(item, available - quantity)
            return [inputTo(reserved, item, quantity)]
          },
        }
      },
    },
  }
}

// -------------------------------------------------------------- windows

const SIZE_MS = 400
const GRACE_MS = 150

/** Final counts of windows, which close by silence too; and their totals, at the time of the slowest upstream. */
function closing(): SimulatedTopology {
  const builder = new StreamsBuilder('closing')
  const windows = tumbling({ sizeMs: SIZE_MS, graceMs: GRACE_MS })
  const perWindow = builder
    .stream(words, { idle: { closeMs: 250 } })
    .groupByKey()
    .windowedBy(windows)
    .count('per-window', { emit: 'on-close' })
    .toStream()
    .map((count, { key }) => [key, count])
  perWindow.to(counts)
  perWindow
    .selectKey(() => 'all')
    .repartition('totals', { key: string(), partitions: 1, time: 'slowest-upstream' })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: SIZE_MS * 2, graceMs: 0 }))
    .reduce('totals', (sum, count) => sum + count, { emit: 'on-close' })
    .toStream()
    .map((total, { key }) => [key, total])
    .to(others)
  const reference: Reference = ({ subTopology }) =>
    subTopology === 0 ? closedWindows() : undefined
  return { name: 'closing', topology: builder.build(), options: { input: word, reference } }
}

function closedWindows(): ReturnType<Reference> {
  const open = new Map<number, Map<string, number>>()
  let timeMs = -1
  const close = (): readonly SimulatedInput[] => {
    const closed = [...open.keys()].filter((start) => start + SIZE_MS + GRACE_MS <= timeMs)
    return closed
      .sort((a, b) => a - b)
      .flatMap((start) => {
        const window = open.get(start) ?? new Map<string, number>()
        open.delete(start)
        return [...window].map(([key, count]) => inputTo(counts, key, count))
      })
  }
  return {
    take({ key, timestampMs }) {
      if (key === null) return []
      timeMs = Math.max(timeMs, timestampMs)
      const start = timestampMs - (timestampMs % SIZE_MS)
      if (start + SIZE_MS + GRACE_MS > timeMs) {
        const window = open.get(start) ?? new Map<string, number>()
        open.set(start, window)
        const text = new TextDecoder().decode(key)
        window.set(text, (window.get(text) ?? 0) + 1)
      }
      return close()
    },
    tick(tickMs) {
      timeMs = Math.max(timeMs, tickMs)
      return close()
    },
  }
}

// -------------------------------------------------------------- joining

const names = topic('names', { key: string(), value: string() })

/** A stream without repeats beside a table with deletes. */
function joining(): SimulatedTopology {
  const builder = new StreamsBuilder('joining')
  const known = builder.table('known', names)
  builder
    .stream(words)
    .dedupe('seen', { by: (value) => value, withinMs: 600 })
    .leftJoin(known, (value, name) => `${name ?? 'nobody'}:${value}`)
    .to(texts)
  return {
    name: 'joining',
    topology: builder.build(),
    options: {
      input: ({ random }) => {
        const key = `key-${random.below(4)}`
        if (random.chance(0.7)) return inputTo(words, key, `id-${random.below(12)}`)
        return inputTo(names, key, random.chance(0.25) ? null : `name-${random.below(9)}`)
      },
    },
  }
}

// -------------------------------------------------------------- punctuating

const EVERY_MS = 300

/** Says every so often how many there were: a processor by hand. */
function telling(name: string, type: PunctuationType, reference: Reference): SimulatedTopology {
  const builder = new StreamsBuilder(name)
  const seen = store('seen', { key: string(), value: long() })
  class Telling {
    #context: ProcessorContext<string, number> | undefined
    init(context: ProcessorContext<string, number>): void {
      this.#context = context
      context.schedule(EVERY_MS, type, (nowMs) => {
        const value = this.#seen.get('all') ?? 0
        context.forward({ key: 'all', value, timestampMs: nowMs, headers: [] })
      })
    }
    process(_record: StreamRecord<string, string>): void {
      this.#seen.put('all', (this.#seen.get('all') ?? 0) + 1)
    }
    get #seen(): KeyValueStore<string, number> {
      return this.#context?.store('seen') as KeyValueStore<string, number>
    }
  }
  builder.stream(words).process('telling', { seen }, Telling).to(counts)
  return { name, topology: builder.build(), options: { input: word, reference } }
}

/** By the wall clock: whether it is time only the journal knows. */
const punctuating: Reference = () => {
  let seen = 0
  return {
    take() {
      seen += 1
      return []
    },
    punctuate: (_name, timeMs) => [inputTo(counts, 'all', seen, timeMs)],
  }
}

/** By stream time: on a grid that starts at 0, at most once a record, after it. */
const scheduling: Reference = () => {
  let seen = 0
  let timeMs = -1
  let dueMs = 0
  return {
    take({ timestampMs }) {
      seen += 1
      timeMs = Math.max(timeMs, timestampMs)
      if (timeMs < dueMs) return []
      dueMs = timeMs - (timeMs % EVERY_MS) + EVERY_MS
      return [inputTo(counts, 'all', seen, timeMs)]
    },
  }
}

export const SIMULATED: readonly SimulatedTopology[] = [
  counting(),
  reserving(),
  closing(),
  joining(),
  telling('punctuating', 'wall-clock', punctuating),
  telling('scheduling', 'stream-time', scheduling),
]

/** Which application a seed is about: each has its share. */
export function simulatedBy(seed: number): SimulatedTopology {
  const found = SIMULATED[seed % SIMULATED.length]
  if (found === undefined) throw new RangeError(`no application for seed ${seed}`)
  return found
}

/** Steps at which a process must have ended, and stood still, over a few thousand seeds. */
const STEPS = [
  'runtime:after-seal',
  'sealed',
  'appended',
  'offsets',
  'ended',
  'runtime:between-applies',
  'runtime:after-apply',
]

/** Over a few thousand seeds of all of them. */
export const MUST_HAPPEN: readonly string[] = [
  ...FAULTS,
  ...CONSEQUENCES,
  ...STEPS.flatMap((step) => [`crash at ${step}`, `pause at ${step}`]),
  ...['processing', 'before-release', 'restore', 'window-close'].map(
    (step) => `crash at runtime:${step}`,
  ),
  'dead-letter',
]
