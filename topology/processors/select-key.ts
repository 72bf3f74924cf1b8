/**
 * Gives each record a new key.
 *
 * Invariant: value and time stay; which partition the record belongs to is settled by the repartition that must follow.
 */
import type { ValueMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class SelectKey implements Processor {
  readonly name: string
  readonly #mapper: ValueMapper
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'select-key'>, { run, next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.#next.process(this.#mapper(value, key) ?? null, value, timestampMs)
  }
}
