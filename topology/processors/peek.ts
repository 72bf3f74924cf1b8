/**
 * Looks at each record (`peek`), or ends the branch with it (`forEach`).
 *
 * Invariant: nothing is changed or dropped on the way.
 */
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class Peek implements Processor {
  readonly name: string
  readonly #action: NodeOf<'peek'>['action']
  readonly #ends: boolean
  readonly #run: RunContext
  readonly #next: Processor

  constructor(node: NodeOf<'peek'>, { run, next }: Wiring) {
    this.name = node.name
    this.#action = node.action
    this.#ends = node.ends
    this.#run = run
    this.#next = next
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.#action(value, key)
    if (!this.#ends) this.#next.process(key, value, timestampMs)
  }
}
