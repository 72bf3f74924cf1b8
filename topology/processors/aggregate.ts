/**
 * Count, reduce and aggregate of a key's records, without windows.
 *
 * Invariant: the store holds the fold of every record of a key that had a value; each update is forwarded, at the later of
 * the record's and the aggregate's time (R5), or held back until the commit.
 */
import type { KeyValueTaskStore } from '#state'
import type { Adder } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { keyValueStore, type NodeOf, type Wiring } from '../wiring.ts'

export class Aggregate implements Processor {
  readonly name: string
  readonly #adder: Adder
  readonly #sendsOldValues: boolean
  readonly #isHeld: boolean
  readonly #store: KeyValueTaskStore<unknown, unknown>
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'aggregate'>, { run, stores, next }: Wiring) {
    this.name = node.name
    this.#adder = node.adder
    this.#sendsOldValues = node.sendsOldValues
    this.#isHeld = node.emit === 'per-commit'
    this.#store = keyValueStore(stores, node.store)
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    if (key === null || value === null) {
      this.#run.environment.dropped(this.name, 'null key or value')
      return
    }
    const { initial, add } = this.#adder
    const stored = this.#store.getTimed(key)
    let before: unknown = null
    let aggregate: unknown = value
    let aggregateMs = timestampMs
    if (stored !== undefined) {
      before = stored.value
      aggregate = add(before, value, key) ?? null
      if (stored.timestampMs > timestampMs) aggregateMs = stored.timestampMs
    } else if (initial !== undefined) {
      before = initial()
      aggregate = add(before, value, key) ?? null
    }
    // A deletion has no time of its own to keep: it carries the record's.
    const storedMs = aggregate === null ? timestampMs : aggregateMs
    this.#store.put(key, aggregate, storedMs)
    // The record cache compares with what was stored, not with what an aggregate begins with.
    if (this.#isHeld) this.#next.process(key, aggregate, storedMs, stored?.value ?? null)
    else this.#next.process(key, aggregate, aggregateMs, this.#sendsOldValues ? before : null)
  }
}
