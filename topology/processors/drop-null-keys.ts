/**
 * Keeps records without a key out of a repartition topic: nothing downstream could group them.
 *
 * Invariant: they go without being counted as dropped, as in Kafka Streams.
 */
import type { Processor } from '../processor.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class DropNullKeys implements Processor {
  readonly name: string
  readonly #next: Processor

  constructor(node: NodeOf<'drop-null-keys'>, { next }: Wiring) {
    this.name = node.name
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    if (key !== null) this.#next.process(key, value, timestampMs)
  }
}
