/**
 * Gives each record a new key.
 *
 * Invariant: value and time stay; which partition the record belongs to is settled by the repartition that must follow.
 */
import type { ValueMapper } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class SelectKey implements Processor {
  readonly name: string
  readonly #mapper: ValueMapper
  readonly #next: Processor

  constructor(node: NodeOf<'select-key'>, { next }: Wiring) {
    this.name = node.name
    this.#mapper = node.mapper
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#next.process(this.#mapper(value, key) ?? null, value, timestampMs)
  }
}
