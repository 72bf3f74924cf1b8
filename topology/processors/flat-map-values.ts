/**
 * Turns each record into any number of records under the same key.
 *
 * Invariant: they go on in the order given, at the record's time, each before the next is asked for.
 */
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class FlatMapValues implements Processor {
  readonly name: string
  readonly #mapper: NodeOf<'flat-map-values'>['mapper']
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'flat-map-values'>, { run, next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    for (const part of this.#mapper(value, key)) {
      this.#next.process(key, part ?? null, timestampMs)
      // What is still to come of the mapper may be made as it is asked for.
      this.#run.node = this.name
    }
  }
}
