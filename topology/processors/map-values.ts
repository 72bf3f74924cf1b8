/**
 * Gives each record a new value.
 *
 * Invariant: key and time stay, so what was partitioned stays partitioned.
 */
import type { ValueMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class MapValues implements Processor {
  readonly name: string
  readonly #mapper: ValueMapper
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'map-values'>, { run, next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.#next.process(key, this.#mapper(value, key) ?? null, timestampMs)
  }
}
