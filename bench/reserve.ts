/** Every order is decided once, against the stock of its item: dedupe by id, one store, one JSON verdict out. */
import type { Encodes } from '#log'
import { json, store, StreamsBuilder, string, topic, type Serde, type Topology } from '#topology'
import { int64, jsonText, text, type LoopAdds, type LoopBody } from './loop.ts'
import type { Order } from './orders.ts'

export const SEEN_STORE = 'orders-seen'
export const STOCK_STORE = 'inventory'
/** Of every item at first: enough for some of the orders, so that both verdicts are given. */
const STOCK = 20_000
const DAY_MS = 86_400_000

interface Shelf {
  readonly available: number
  readonly reserved: number
}
interface Verdict {
  readonly order_id: string
  readonly item_id: string
  readonly status: 'reserved' | 'failed'
  readonly qty: number
  readonly timestamp: number
}

export function reserveTopology(
  applicationId: string,
  input: string,
  output: string,
  { dedupes }: { readonly dedupes: boolean } = { dedupes: true },
): Topology {
  const orders = topic(input, { key: string(), value: json() as Serde<Order> })
  const verdicts = topic(output, { key: string(), value: json() as Serde<Verdict> })
  const inventory = store(STOCK_STORE, { key: string(), value: json() as Serde<Shelf> })
  const builder = new StreamsBuilder(applicationId)
  const all = builder.stream(orders)
  const by = ({ order_id }: Order): string => order_id
  const once = dedupes ? all.dedupe(SEEN_STORE, { by, withinMs: DAY_MS }) : all
  once
    .processValues('reserve', { inventory }, (order, { inventory }): Verdict => {
      const { item_id, qty } = order
      const { available, reserved } = inventory.get(item_id) ?? { available: STOCK, reserved: 0 }
      if (available < qty) return verdictOf(order, 'failed')
      inventory.put(item_id, { available: available - qty, reserved: reserved + qty })
      return verdictOf(order, 'reserved')
    })
    .to(verdicts)
  return builder.build()
}

function verdictOf(order: Order, status: Verdict['status']): Verdict {
  const { order_id, item_id, qty, timestamp } = order
  return { order_id, item_id, status, qty, timestamp }
}

const jsonShelf: Encodes<Shelf> = jsonText

/** A Set of ids that is never cleaned up, and a Map of shelves. */
export class LoopReserve implements LoopBody {
  readonly #dedupes: boolean
  readonly #seen = new Set<string>()
  readonly #stock = new Map<string, Shelf>()
  #newIds: { readonly id: string; readonly timestampMs: number }[] = []
  readonly #changed = new Map<string, number>()

  constructor(dedupes: boolean = true) {
    this.#dedupes = dedupes
  }

  record(key: string, value: unknown, timestampMs: number, output: LoopAdds): void {
    const order = value as Order
    const { order_id, item_id, qty } = order
    if (this.#dedupes && this.#isRepeat(order_id, timestampMs)) return
    const { available, reserved } = this.#stock.get(item_id) ?? { available: STOCK, reserved: 0 }
    if (available < qty) {
      output.add(timestampMs, key, text, verdictOf(order, 'failed'), jsonText)
      return
    }
    this.#stock.set(item_id, { available: available - qty, reserved: reserved + qty })
    this.#changed.set(item_id, timestampMs)
    output.add(timestampMs, key, text, verdictOf(order, 'reserved'), jsonText)
  }

  #isRepeat(id: string, timestampMs: number): boolean {
    if (this.#seen.has(id)) return true
    this.#seen.add(id)
    this.#newIds.push({ id, timestampMs })
    return false
  }

  changelog(output: (store: string) => LoopAdds): void {
    const ids = this.#newIds.length > 0 ? output(SEEN_STORE) : undefined
    for (const { id, timestampMs } of this.#newIds) {
      ids?.add(timestampMs, id, text, timestampMs, int64)
    }
    this.#newIds = []
    const shelves = output(STOCK_STORE)
    for (const [item, timestampMs] of this.#changed) {
      const shelf = this.#stock.get(item)
      if (shelf !== undefined) shelves.add(timestampMs, item, text, shelf, jsonShelf)
    }
    this.#changed.clear()
  }
}
