/**
 * Gives each record a new key and a new value.
 *
 * Invariant: one record in, one out, at the same time (R5).
 */
import type { PairMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class MapPairs implements Processor {
  readonly name: string
  readonly #mapper: PairMapper
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'map'>, { run, next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    const pair = this.#mapper(value, key)
    this.#next.process(pair[0] ?? null, pair[1] ?? null, timestampMs)
  }
}
