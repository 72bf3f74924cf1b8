/**
 * A topology in the making: what the faces (`KStream`, `KTable`, …) write into, call by call.
 *
 * Invariant: a name is taken at the call that asks for it; what later calls may still change of a node (is a table stored, does
 * it send old values) is looked up when the topology is built.
 */
import { assert } from '#system'
import { compile } from './compile.ts'
import { isGenerated, NameMachine } from './names.ts'
import type { AnySerde, OperatorNode, StoreSpec, TopologyNode } from './node.ts'
import { type Topology, TopologyError } from './topology.ts'

type Common = 'name' | 'parents' | 'stores'
type Without<T, Names extends PropertyKey> = T extends unknown ? Omit<T, Names> : never
/** What a node does, without its place. */
export type OperatorBody = Without<OperatorNode, Common>

export interface DraftNode {
  readonly name: string
  /** Nodes above, repartition topics crossed. */
  readonly above: readonly string[]
  /** How long its windows stay open, if it makes windows: what `suppress` waits for. */
  readonly windowGraceMs?: number
  build(): TopologyNode
}

export interface DraftOptions {
  readonly applicationId: string
  /** False: whatever owns a store or a topic must be named. */
  readonly generatesNames: boolean
  /** Refuses generated names of stores and topics when the topology is built. */
  readonly ensuresExplicitNames: boolean
  readonly compatibility: 'kafka-streams' | undefined
  /** Stored tables emit per commit unless they say otherwise. */
  readonly caching: boolean
  readonly key: AnySerde
  readonly value: AnySerde
}

export interface RepartitionTopic {
  readonly name: string
  readonly partitions: number | undefined
}

interface DraftStore {
  readonly spec: StoreSpec
  /** The declaration or the table that it belongs to. */
  readonly owner: object
  readonly isKept: () => boolean
}

export class Draft {
  readonly options: DraftOptions
  readonly names: NameMachine = new NameMachine()
  readonly #nodes = new Map<string, DraftNode>()
  readonly #stores = new Map<string, DraftStore>()
  readonly #repartitions = new Map<string, RepartitionTopic>()
  /** The sources whose records reach a store. */
  readonly #storeSources = new Map<string, readonly string[]>()
  /** Names of sources that must have equal partition counts. */
  readonly #coPartitioned: (readonly string[])[] = []

  constructor(options: DraftOptions) {
    this.options = options
  }

  /** Adds a node below its parents: children run in the order of these calls. */
  add(node: DraftNode): void {
    if (this.#nodes.has(node.name)) throw taken(node.name, 'a node')
    this.#nodes.set(node.name, node)
  }

  /** The same owner may add its store again, as several processors do; another of the same name may not. */
  addStore(spec: StoreSpec, owner: object, isKept: () => boolean = () => true): void {
    const known = this.#stores.get(spec.name)
    if (known === undefined) this.#stores.set(spec.name, { spec, owner, isKept })
    else if (known.owner !== owner) throw taken(spec.name, 'a store')
  }

  hasStore(name: string): boolean {
    return this.#stores.get(name)?.isKept() ?? false
  }

  addRepartition(topic: RepartitionTopic): void {
    if (this.#repartitions.has(topic.name)) throw taken(topic.name, 'a repartition topic')
    this.#repartitions.set(topic.name, topic)
  }

  coPartition(sources: Iterable<string>): void {
    this.#coPartitioned.push([...new Set(sources)])
  }

  /**
   * Records from these sources reach the store. One task holds what all of them meet in it, so that they must be
   * co-partitioned; Kafka Streams does not check this.
   */
  reachStore(store: string, sources: readonly string[]): void {
    const known = this.#storeSources.get(store) ?? []
    const all = [...new Set([...known, ...sources])]
    this.#storeSources.set(store, all)
    const isShared = known.length > 0 && all.length > known.length
    if (isShared && this.options.compatibility === undefined) this.coPartition(all)
  }

  /** The longest grace of the windows that reach `node`; undefined if any way up has none. */
  windowGraceAbove(node: string): number | undefined {
    const draft = this.#nodes.get(node)
    assert(draft !== undefined, `${node} is a node of this topology`)
    if (draft.windowGraceMs !== undefined) return draft.windowGraceMs
    let longest: number | undefined
    for (const above of draft.above) {
      const graceMs = this.windowGraceAbove(above)
      if (graceMs === undefined) return undefined
      longest = Math.max(longest ?? 0, graceMs)
    }
    return longest
  }

  build(): Topology {
    const { applicationId, compatibility, ensuresExplicitNames } = this.options
    const nodes = [...this.#nodes.values()].map((node) => node.build())
    const used = new Set(nodes.flatMap((node) => node.stores))
    const stores = [...this.#stores.values()].map(({ spec }) => spec)
    const repartitions = [...this.#repartitions.values()]
    if (ensuresExplicitNames) {
      const owned = stores.filter((store) => used.has(store.name))
      refuseGenerated([...owned, ...repartitions].map(({ name }) => name))
    }
    return compile({
      applicationId,
      compatibility,
      nodes,
      stores,
      repartitions,
      coPartitioned: this.#coPartitioned,
    })
  }
}

function taken(name: string, what: string): TopologyError {
  return new TopologyError('NAME_TAKEN', `"${name}" already names ${what}: choose another`)
}

const GENERATED_STORE = /STATE-STORE-[0-9]{10}/

function refuseGenerated(names: readonly string[]): void {
  const generated = names.filter((name) => {
    return GENERATED_STORE.test(name) || isGenerated(name.replace(/-repartition$/, ''))
  })
  if (generated.length === 0) return
  throw new TopologyError('NAME_REQUIRED', `give names to these: ${generated.join(', ')}`)
}
