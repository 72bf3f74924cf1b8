/**
 * Reads a topic, or a stream, as a table: the latest value of each key.
 *
 * Invariant: every record of a key is a change of the table, also one that is older than what is stored (K1) and one that
 * changes nothing (K2); a null value deletes.
 */
import type { KeyValueTaskStore } from '#state'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { keyValueStore, type NodeOf, type Wiring } from '../wiring.ts'

export class TableSource implements Processor {
  readonly name: string
  /** A table that nobody reads or asks old values of keeps none. */
  readonly #store: KeyValueTaskStore<unknown, unknown> | undefined
  /** Downstream asks for it, or the record cache. */
  readonly #tellsOldValues: boolean
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'table-source'> | NodeOf<'to-table'>, { run, stores, next }: Wiring) {
    this.name = node.name
    this.#store = node.store === undefined ? undefined : keyValueStore(stores, node.store)
    this.#tellsOldValues = node.sendsOldValues || node.emit === 'per-commit'
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    if (key === null) {
      this.#run.environment.dropped(this.name, 'null key')
      return
    }
    const store = this.#store
    let oldValue: unknown = null
    if (store !== undefined) {
      if (this.#tellsOldValues) oldValue = store.get(key) ?? null
      store.put(key, value, timestampMs)
    }
    this.#next.process(key, value, timestampMs, oldValue)
  }
}
