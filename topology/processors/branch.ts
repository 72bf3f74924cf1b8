/**
 * Sends each record down the first branch whose predicate is true, else down the default, if there is one.
 *
 * Invariant: a record takes one branch at most.
 */
import { assert } from '#system'
import type { Predicate } from '../node.ts'
import type { Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class Branch implements Processor {
  readonly name: string
  readonly #predicates: readonly Predicate[]
  readonly #branches: readonly Processor[]
  readonly #run: RunContext

  constructor(node: NodeOf<'branch'>, { run, children }: Wiring) {
    const { name, predicates, hasDefault } = node
    this.name = name
    this.#predicates = predicates
    this.#branches = children
    this.#run = run
    const expected = predicates.length + (hasDefault ? 1 : 0)
    assert(children.length === expected, `${name} has a child a branch, in their order`)
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    let taken = 0
    for (const predicate of this.#predicates) {
      if (predicate(value, key)) break
      taken += 1
    }
    this.#branches[taken]?.process(key, value, timestampMs)
  }
}
