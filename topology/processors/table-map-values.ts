/**
 * A table with each value mapped.
 *
 * Invariant: an absent value stays absent, and the mapper is not asked (K4).
 */
import type { KeyValueTaskStore } from '#state'
import type { ValueMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { keyValueStore, type NodeOf, type Wiring } from '../wiring.ts'

export class TableMapValues implements Processor {
  readonly name: string
  readonly #mapper: ValueMapper
  readonly #store: KeyValueTaskStore<unknown, unknown> | undefined
  /** Downstream asks for it, or the record cache. */
  readonly #tellsOldValues: boolean
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'table-map-values'>, { run, stores, next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#store = node.store === undefined ? undefined : keyValueStore(stores, node.store)
    this.#tellsOldValues = node.sendsOldValues || node.emit === 'per-commit'
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue: unknown): void {
    this.#run.node = this.name
    const now = this.#mapped(value, key)
    const before = this.#tellsOldValues ? this.#before(oldValue, key) : null
    this.#store?.put(key, now, timestampMs)
    this.#next.process(key, now, timestampMs, before)
  }

  #before(oldValue: unknown, key: unknown): unknown {
    if (this.#store !== undefined) return this.#store.get(key) ?? null
    return this.#mapped(oldValue ?? null, key)
  }

  #mapped(value: unknown, key: unknown): unknown {
    return value === null ? null : (this.#mapper(value, key) ?? null)
  }
}
