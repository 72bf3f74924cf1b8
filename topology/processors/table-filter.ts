/**
 * The part of a table whose values the predicate lets through.
 *
 * Invariant: a value that does not pass is an absent one: downstream gets a tombstone, unless it is told old values and held
 * none before either (K3).
 */
import type { KeyValueTaskStore } from '#state'
import type { Predicate } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { keyValueStore, type NodeOf, type Wiring } from '../wiring.ts'

export class TableFilter implements Processor {
  readonly name: string
  readonly #predicate: Predicate
  readonly #keep: boolean
  readonly #store: KeyValueTaskStore<unknown, unknown> | undefined
  readonly #sendsOldValues: boolean
  /** Downstream asks for it, or the record cache. */
  readonly #tellsOldValues: boolean
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'table-filter'>, { run, stores, next }: Wiring) {
    this.name = node.name
    this.#predicate = node.predicate
    this.#keep = node.keep
    this.#store = node.store === undefined ? undefined : keyValueStore(stores, node.store)
    this.#sendsOldValues = node.sendsOldValues
    this.#tellsOldValues = node.sendsOldValues || node.emit === 'per-commit'
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue: unknown): void {
    this.#run.node = this.name
    const now = this.#passing(value, key)
    const before = this.#tellsOldValues ? this.#before(oldValue, key) : null
    if (this.#sendsOldValues && now === null && before === null) return
    this.#store?.put(key, now, timestampMs)
    this.#next.process(key, now, timestampMs, before)
  }

  #before(oldValue: unknown, key: unknown): unknown {
    if (this.#store !== undefined) return this.#store.get(key) ?? null
    return this.#passing(oldValue ?? null, key)
  }

  #passing(value: unknown, key: unknown): unknown {
    return value !== null && this.#predicate(value, key) === this.#keep ? value : null
  }
}
