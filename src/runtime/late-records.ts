/**
 * What came after its window had closed: one record in `<app>-late` for each window that refused it.
 *
 * Invariant: per windowed node, window sums and late records together are every record that reached it.
 *
 * Key: the record's key, in the bytes of the window's store. Value:
 *
 *     {"node":"KSTREAM-REDUCE-0000000003","store":"orders-per-minute","window_start":60000,"window_end":120000,
 *      "timestamp":61000}
 *
 * `timestamp` is the record's own; the late record itself is stamped with the task's stream time when it was refused, so that
 * whoever counts late records in windows has them in order. Offsets are left out, because a replay from a copied topic may
 * have others.
 */
import { Buffer } from 'node:buffer'
import { NO_HEADERS } from '#log'
import type { AnySerde, SubTopology, TimeWindow } from '#topology'
import type { TaskCollector } from './record-collector.ts'

/** The value of a record in `<app>-late`. */
export interface LateRecord {
  readonly node: string
  /** Name of the node's store: unlike the node's own it does not move when the program is edited. */
  readonly store: string
  readonly window_start: number
  readonly window_end: number
  readonly timestamp: number
}

export class LateRecords {
  readonly #topic: string
  readonly #collector: TaskCollector
  /** The store and its key's serde, by the windowed node's name. */
  readonly #stores: ReadonlyMap<string, { readonly name: string; readonly key: AnySerde }>

  constructor(topic: string, subTopology: SubTopology, collector: TaskCollector) {
    this.#topic = topic
    this.#collector = collector
    const stores = new Map<string, { readonly name: string; readonly key: AnySerde }>()
    for (const node of subTopology.nodes) {
      const store = subTopology.stores.find(({ name }) => node.stores.includes(name))
      if (store !== undefined && store.kind !== 'dedupe') stores.set(node.name, store)
    }
    this.#stores = stores
  }

  /** `timestamp`: the record's own; `streamTimeMs`: the task's, now. */
  add(
    node: string,
    window: TimeWindow,
    key: unknown,
    timestamp: number,
    streamTimeMs: number,
  ): void {
    const store = this.#stores.get(node)
    const late: LateRecord = {
      node,
      store: store?.name ?? '',
      window_start: window.startMs,
      window_end: window.endMs,
      timestamp,
    }
    const keyBytes = store?.key.encode(key) ?? null
    const value = Buffer.from(JSON.stringify(late))
    this.#collector.add(this.#topic, streamTimeMs, keyBytes, value, NO_HEADERS)
  }
}
