/**
 * What came after its window had closed: one record in `<app>-late` for each window that refused it.
 *
 * Invariant: per windowed node, window sums and late records together are every record that reached it.
 *
 * Key: the record's key, in the bytes of the window's store. Value:
 *
 *     {"node":"KSTREAM-REDUCE-0000000003","store":"orders-per-minute","window_start":60000,"window_end":120000,
 *      "timestamp":61000,"value":{"orders":2}}
 *
 * `timestamp` is the record's own; the late record itself is stamped with the task's stream time when it was refused, so that
 * whoever counts late records in windows has them in order. `value` is what was refused, as JSON: behind another window one
 * record is a result that stands for many, so whoever adds late records up must add what they say. Bytes are base64, bigints
 * are text; a value that JSON cannot tell, or that would be too large for the log, is left out. Offsets are left out too,
 * because a replay from a copied topic may have others.
 */
import { Buffer } from 'node:buffer'
import { LogError, NO_HEADERS } from '#log'
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
  /** What was refused, as JSON tells it. */
  readonly value?: unknown
}

/** What a windowed node refused. */
export interface Refused {
  readonly node: string
  readonly window: TimeWindow
  readonly key: unknown
  readonly value: unknown
  /** The record's own. */
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

  /** `streamTimeMs`: the task's, now. */
  add({ node, window, key, value, timestamp }: Refused, streamTimeMs: number): void {
    const store = this.#stores.get(node)
    const late: LateRecord = {
      node,
      store: store?.name ?? '',
      window_start: window.startMs,
      window_end: window.endMs,
      timestamp,
    }
    const keyBytes = store?.key.encode(key) ?? null
    const add = (text: string): void => {
      this.#collector.add(this.#topic, streamTimeMs, keyBytes, Buffer.from(text), NO_HEADERS)
    }
    const whole = textOf({ ...late, value })
    if (whole === undefined) {
      add(JSON.stringify(late))
      return
    }
    try {
      add(whole)
    } catch (failure) {
      if (!(failure instanceof LogError) || failure.code !== 'RECORD_TOO_LARGE') throw failure
      add(JSON.stringify(late))
    }
  }
}

/** Undefined for what JSON cannot tell, as a circle. */
function textOf(late: LateRecord): string | undefined {
  try {
    return JSON.stringify(late, plain)
  } catch {
    return undefined
  }
}

/** Called on the holder, because bytes turn themselves into lists of numbers before they are handed in. */
function plain(this: unknown, name: string, value: unknown): unknown {
  const before: unknown = (this as Readonly<Record<string, unknown>>)[name]
  if (before instanceof Uint8Array) return Buffer.from(before).toString('base64')
  return typeof value === 'bigint' ? `${value}` : value
}
