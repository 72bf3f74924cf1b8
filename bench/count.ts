/** Orders per item and minute, every update forwarded: one JSON value in, one JSON value out. */
import type { Encodes } from '#log'
import {
  bytes,
  json,
  StreamsBuilder,
  string,
  topic,
  tumbling,
  type EmitOption,
  type ReadableTopic,
  type Serde,
  type Topology,
} from '#topology'
import { text, jsonText, int64, type LoopAdds, type LoopBody } from './loop.ts'
import type { Order } from './orders.ts'

export const COUNT_STORE = 'orders-per-minute'
const MINUTE_MS = 60_000
const GRACE_MS = 5_000

/** What is sent for every order. */
interface Count {
  readonly item_id: string
  readonly window_start: number
  readonly window_end: number
  readonly orders: number
}

export function countTopology(applicationId: string, input: string, output: string): Topology {
  const orders = topic(input, { key: string(), value: json() as Serde<Order> })
  return countOn(applicationId, orders, output, {})
}

/** The same where the value, which nobody looks at, is left as it is: as the peer on Kafka Streams does. */
export function unparsedCountTopology(
  applicationId: string,
  input: string,
  output: string,
  emit: EmitOption = {},
): Topology {
  return countOn(applicationId, topic(input, { key: string(), value: bytes() }), output, emit)
}

function countOn<V>(
  applicationId: string,
  orders: ReadableTopic<string, V>,
  output: string,
  emit: EmitOption,
): Topology {
  const counts = topic(output, { key: string(), value: json() as Serde<Count> })
  const builder = new StreamsBuilder(applicationId)
  builder
    .stream(orders)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: MINUTE_MS, graceMs: GRACE_MS }))
    .count(COUNT_STORE, emit)
    .toStream()
    .map((orders, { key, window }) => [key, countOf(key, window.startMs, orders)])
    .to(counts)
  return builder.build()
}

function countOf(item_id: string, startMs: number, orders: number): Count {
  return { item_id, window_start: startMs, window_end: startMs + MINUTE_MS, orders }
}

/** key ‖ start(8) ‖ sequence(4), as window stores have it. */
const windowKey: Encodes<{ readonly key: string; readonly startMs: number }> = {
  write({ key, startMs }, target) {
    target.utf8(key)
    target.int64(startMs)
    target.int32(0)
  },
}

/** One Map, keyed by `key@window`. */
export class CasualCount implements LoopBody {
  readonly #counts = new Map<string, number>()
  readonly #changed = new Map<string, number>()

  record(key: string, _value: unknown, timestampMs: number, output: LoopAdds): void {
    const startMs = timestampMs - (timestampMs % MINUTE_MS)
    const id = `${key}@${startMs}`
    const orders = (this.#counts.get(id) ?? 0) + 1
    this.#counts.set(id, orders)
    this.#changed.set(id, timestampMs)
    output.add(timestampMs, key, text, countOf(key, startMs, orders), jsonText)
  }

  changelog(output: (store: string) => LoopAdds): void {
    const changelog = output(COUNT_STORE)
    for (const [id, timestampMs] of this.#changed) {
      const at = id.lastIndexOf('@')
      const key = { key: id.slice(0, at), startMs: Number(id.slice(at + 1)) }
      changelog.add(timestampMs, key, windowKey, this.#counts.get(id) ?? 0, int64)
    }
    this.#changed.clear()
  }
}

interface Tally {
  readonly key: string
  readonly startMs: number
  orders: number
  timestampMs: number
  changed: boolean
}

/** A Map a window, of entries that are changed in place; the window in hand is kept, old ones are dropped. */
export class BestCount implements LoopBody {
  readonly #windows = new Map<number, Map<string, Tally>>()
  #startMs = -1
  #window = new Map<string, Tally>()
  #changed: Tally[] = []

  record(key: string, _value: unknown, timestampMs: number, output: LoopAdds): void {
    const startMs = timestampMs - (timestampMs % MINUTE_MS)
    if (startMs !== this.#startMs) this.#enter(startMs)
    let tally = this.#window.get(key)
    if (tally === undefined) {
      tally = { key, startMs, orders: 0, timestampMs, changed: false }
      this.#window.set(key, tally)
    }
    tally.orders += 1
    tally.timestampMs = timestampMs
    if (!tally.changed) {
      tally.changed = true
      this.#changed.push(tally)
    }
    output.add(timestampMs, key, text, countOf(key, startMs, tally.orders), jsonText)
  }

  changelog(output: (store: string) => LoopAdds): void {
    const changelog = output(COUNT_STORE)
    for (const tally of this.#changed) {
      changelog.add(tally.timestampMs, tally, windowKey, tally.orders, int64)
      tally.changed = false
    }
    this.#changed = []
  }

  #enter(startMs: number): void {
    const window = this.#windows.get(startMs) ?? new Map<string, Tally>()
    this.#windows.set(startMs, window)
    this.#startMs = startMs
    this.#window = window
    for (const start of this.#windows.keys()) {
      if (start < startMs - MINUTE_MS - GRACE_MS) this.#windows.delete(start)
    }
  }
}
