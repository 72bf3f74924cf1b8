/**
 * The record caches of one pipeline, each behind the node of a stored table that emits per commit.
 *
 * Invariant: they are flushed in the order in which the topology first meets their stores (X5), so that what one sends is
 * held by those below it, and sent by them in the same flush.
 */
import type { StoreSpec, TopologyNode } from './node.ts'
import type { Processor } from './processor.ts'
import { RecordCache } from './record-cache.ts'
import type { RunContext } from './run-context.ts'
import type { SubTopology } from './topology.ts'
import { storeSpec } from './wiring.ts'

export class RecordCaches {
  readonly #run: RunContext
  readonly #subTopology: SubTopology
  readonly #made: { readonly spec: StoreSpec; readonly cache: RecordCache }[] = []
  #inOrder: readonly RecordCache[] = []

  constructor(run: RunContext, subTopology: SubTopology) {
    this.#run = run
    this.#subTopology = subTopology
  }

  /** What the node sends to: `next`, or the cache in front of it. */
  inFrontOf(node: TopologyNode, next: Processor): Processor {
    if (!('emit' in node) || node.emit !== 'per-commit' || node.store === undefined) return next
    const { name, sendsOldValues } = node
    const spec = storeSpec(this.#subTopology, node.store)
    if (spec.kind !== 'key-value' && spec.kind !== 'window') return next
    const isWindowed = spec.kind === 'window'
    const cache = new RecordCache({
      name,
      run: this.#run,
      key: spec.key,
      isWindowed,
      sendsOldValues,
      next,
    })
    this.#made.push({ spec, cache })
    const { stores } = this.#subTopology
    this.#inOrder = this.#made
      .toSorted((one, other) => stores.indexOf(one.spec) - stores.indexOf(other.spec))
      .map((each) => each.cache)
    return cache
  }

  get isEmpty(): boolean {
    for (const cache of this.#inOrder) if (!cache.isEmpty) return false
    return true
  }

  flush(): void {
    for (const cache of this.#inOrder) cache.flush()
  }
}
