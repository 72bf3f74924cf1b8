/**
 * Gives each record a new key and a new value.
 *
 * Invariant: one record in, one out, at the same time (R5).
 */
import type { PairMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class MapPairs implements Processor {
  readonly name: string
  readonly #mapper: PairMapper
  readonly #next: Processor

  constructor(node: NodeOf<'map'>, { next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    const pair = this.#mapper(value, key)
    this.#next.process(pair[0] ?? null, pair[1] ?? null, timestampMs)
  }
}
