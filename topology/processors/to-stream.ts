/**
 * Reads a table's changes as a stream.
 *
 * Invariant: every change is a record with the new value, tombstones included; what was there before is left behind.
 */
import type { Processor } from '../processor.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class ToStream implements Processor {
  readonly name: string
  readonly #next: Processor

  constructor(node: NodeOf<'to-stream'>, { next }: Wiring) {
    this.name = node.name
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#next.process(key, value, timestampMs)
  }
}
