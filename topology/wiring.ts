/**
 * What a processor is built from: its downstream as one processor, and the context it shares with its pipeline.
 *
 * Invariant: `next` runs the children in the order attached; with one child it is that child, so that most calls go
 * straight from operator to operator.
 */
import type { KeyValueTaskStore, TaskStore, WindowTaskStore } from '#state'
import { assert } from '#system'
import type { StoreSpec, TopologyNode } from './node.ts'
import type { Processor } from './processor.ts'
import type { RunContext } from './run-context.ts'
import type { SubTopology } from './topology.ts'

/** The node of one kind. */
export type NodeOf<Kind extends TopologyNode['kind']> = Extract<TopologyNode, { kind: Kind }>

export interface Wiring {
  readonly run: RunContext
  readonly subTopology: SubTopology
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly next: Processor
  /** The children one by one, for those who choose: branches, and processors that forward by name. */
  readonly children: readonly Processor[]
  /** Names of the children's nodes, beside `children`. */
  readonly childNames: readonly string[]
  /** R12: the node's time is what `advanceTime` says; its records do not move it. */
  readonly isTimeHeld: boolean
  /** Topics in which this node announces its time (R12). */
  readonly announcesTo: readonly string[]
}

/** A processor that keeps a stream time of its own, and can be told that time has passed. */
export interface TimeKeeper {
  /** Raises stream time to `timeMs`, if that is later, and closes what is due. */
  advanceTime(timeMs: number): void
  /** The least time at which `advanceTime` would close something; Infinity when nothing waits. */
  readonly nextDueTimeMs: number
  saveTimes(times: Map<string, number>): void
  restoreTimes(times: ReadonlyMap<string, number>): void
  /** Announces itself idle if nothing waits in it (R12); true if it did. */
  announceIdle?(): boolean
  /** Takes its idleness back, announcing its edge again; true if it had been idle. */
  announceReturn?(): boolean
}

/**
 * Names of saved times that are not a store's: `:node` is a node's stream time (a source's: what was last
 * said below it, R12), `:` the pipeline's, `~node` is 1 when the node
 * has announced itself idle. Neither sign is legal in a name, so nothing else can be called that. (The time up to which an
 * on-close aggregate has emitted goes by its store's name alone, as Kafka Streams writes it.)
 */
export const streamTimeName = (node: string): string => `:${node}`
export const idleName = (node: string): string => `~${node}`

export function downstream(children: readonly Processor[]): Processor {
  const [only] = children
  if (only === undefined) return NOWHERE
  return children.length === 1 ? only : new Fork(children)
}

const NOWHERE: Processor = { name: 'nowhere', process() {} }

/** Several children, one after the other. */
class Fork implements Processor {
  readonly name: string = 'fork'
  readonly #children: readonly Processor[]

  constructor(children: readonly Processor[]) {
    this.#children = children
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue?: unknown): void {
    for (const child of this.#children) child.process(key, value, timestampMs, oldValue)
  }
}

export function storeSpec(subTopology: SubTopology, name: string): StoreSpec {
  const spec = subTopology.stores.find((store) => store.name === name)
  assert(spec !== undefined, `store ${name} belongs to sub-topology ${subTopology.number}`)
  return spec
}

export function taskStore(stores: ReadonlyMap<string, TaskStore>, name: string): TaskStore {
  const store = stores.get(name)
  assert(store !== undefined, `the task hands in store ${name}`)
  return store
}

export function keyValueStore(
  stores: ReadonlyMap<string, TaskStore>,
  name: string,
): KeyValueTaskStore<unknown, unknown> {
  return taskStore(stores, name) as KeyValueTaskStore<unknown, unknown>
}

export function windowStore(
  stores: ReadonlyMap<string, TaskStore>,
  name: string,
): WindowTaskStore<unknown, unknown> {
  return taskStore(stores, name) as WindowTaskStore<unknown, unknown>
}
