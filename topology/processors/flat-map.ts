/**
 * Turns each record into any number of records with keys of their own.
 *
 * Invariant: they go on in the order given, at the record's time, each before the next is asked for.
 */
import type { Processor } from '../processor.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class FlatMap implements Processor {
  readonly name: string
  readonly #mapper: NodeOf<'flat-map'>['mapper']
  readonly #next: Processor

  constructor(node: NodeOf<'flat-map'>, { next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    for (const pair of this.#mapper(value, key)) {
      this.#next.process(pair[0] ?? null, pair[1] ?? null, timestampMs)
    }
  }
}
