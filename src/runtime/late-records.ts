/**
 * What came after its window had closed: one record in `<app>-late` for each window that refused it.
 *
 * Invariant: per windowed node, window sums and late records together are every record that reached it.
 *
 * Key: the record's key, in the bytes of the window's store. Value:
 *
 *     {"node":"orders-per-minute","window_start":60000,"window_end":120000}
 *
 * Timestamp: the record's own. Offsets are left out, because a replay from a copied topic may have others.
 */
import { Buffer } from 'node:buffer'
import { NO_HEADERS } from '#log'
import type { AnySerde, SubTopology, TimeWindow } from '#topology'
import type { TaskCollector } from './record-collector.ts'

/** The value of a record in `<app>-late`. */
export interface LateRecord {
  readonly node: string
  readonly window_start: number
  readonly window_end: number
}

export class LateRecords {
  readonly #topic: string
  readonly #collector: TaskCollector
  /** Key serdes by the windowed node's name. */
  readonly #keys: ReadonlyMap<string, AnySerde>

  constructor(topic: string, subTopology: SubTopology, collector: TaskCollector) {
    this.#topic = topic
    this.#collector = collector
    const keys = new Map<string, AnySerde>()
    for (const node of subTopology.nodes) {
      const store = subTopology.stores.find(({ name }) => node.stores.includes(name))
      if (store !== undefined && store.kind !== 'dedupe') keys.set(node.name, store.key)
    }
    this.#keys = keys
  }

  add(node: string, window: TimeWindow, key: unknown, timestampMs: number): void {
    const late: LateRecord = { node, window_start: window.startMs, window_end: window.endMs }
    const keyBytes = this.#keys.get(node)?.encode(key) ?? null
    const value = Buffer.from(JSON.stringify(late))
    this.#collector.add(this.#topic, timestampMs, keyBytes, value, NO_HEADERS)
  }
}
