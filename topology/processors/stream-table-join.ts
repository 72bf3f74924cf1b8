/**
 * Joins each record of a stream with the value that a table has for its key at that moment.
 *
 * Invariant: the table never emits (ST1); a result has the stream record's time, headers and place.
 */
import type { Processor, ValueGetter } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import { valueGetter } from '../value-getters.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class StreamTableJoin implements Processor {
  readonly name: string
  readonly #joiner: NodeOf<'stream-table-join'>['joiner']
  readonly #left: boolean
  readonly #table: ValueGetter
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'stream-table-join'>, wiring: Wiring) {
    this.name = node.name
    this.#joiner = node.joiner
    this.#left = node.left
    this.#table = valueGetter(wiring, node.table)
    this.#run = wiring.run
    this.#next = wiring.next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    if (value === null || (key === null && !this.#left)) {
      this.#run.environment.dropped(this.name, 'null key or value')
      return
    }
    const found = key === null ? null : (this.#table.get(key)?.value ?? null)
    if (found === null && !this.#left) return
    this.#next.process(key, this.#joiner(value, found, key) ?? null, timestampMs)
  }
}
