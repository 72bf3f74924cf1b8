/**
 * Forwards the records whose predicate answers as asked.
 *
 * Invariant: a record is forwarded as it is or not at all.
 */
import type { Predicate } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class Filter implements Processor {
  readonly name: string
  readonly #predicate: Predicate
  readonly #keep: boolean
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'filter'>, { run, next }: Wiring) {
    this.name = node.name
    this.#predicate = node.predicate
    this.#keep = node.keep
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    if (this.#predicate(value, key) === this.#keep) this.#next.process(key, value, timestampMs)
  }
}
