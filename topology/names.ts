/**
 * The name machine: one counter for the nodes and stores of a topology, so that names depend on nothing but the calls made.
 *
 * Invariant: the names drawn are Kafka Streams' own (semantics 1.1): `KSTREAM-FILTER-` and ten digits, in the order of calls.
 */
import { TopologyError } from './topology.ts'

/** What a name begins with, by what it names. */
export const PREFIX = {
  source: 'KSTREAM-SOURCE-',
  sink: 'KSTREAM-SINK-',
  filter: 'KSTREAM-FILTER-',
  map: 'KSTREAM-MAP-',
  mapValues: 'KSTREAM-MAPVALUES-',
  flatMap: 'KSTREAM-FLATMAP-',
  flatMapValues: 'KSTREAM-FLATMAPVALUES-',
  selectKey: 'KSTREAM-KEY-SELECT-',
  peek: 'KSTREAM-PEEK-',
  forEach: 'KSTREAM-FOREACH-',
  branch: 'KSTREAM-BRANCH-',
  merge: 'KSTREAM-MERGE-',
  process: 'KSTREAM-PROCESSOR-',
  processValues: 'KSTREAM-PROCESSVALUES-',
  toTable: 'KSTREAM-TOTABLE-',
  repartition: 'KSTREAM-REPARTITION-',
  join: 'KSTREAM-JOIN-',
  leftJoin: 'KSTREAM-LEFTJOIN-',
  aggregate: 'KSTREAM-AGGREGATE-',
  reduce: 'KSTREAM-REDUCE-',
  /** Ours: Kafka Streams has no such operator. */
  dedupe: 'KSTREAM-DEDUPE-',
  tableSource: 'KTABLE-SOURCE-',
  tableFilter: 'KTABLE-FILTER-',
  tableMapValues: 'KTABLE-MAPVALUES-',
  toStream: 'KTABLE-TOSTREAM-',
  suppress: 'KTABLE-SUPPRESS-',
} as const

export type Prefix = (typeof PREFIX)[keyof typeof PREFIX]

const LENGTH_MAX = 249
const LEGAL = /^[a-zA-Z0-9._-]+$/
/** A repartition topic of such a base has generated node names as well (1.7). */
const GENERATED = /^KSTREAM.*-[0-9]{10}$/

export class NameMachine {
  #next = 0

  /** A name given still uses up its number: naming one node leaves all later names as they were. */
  node(prefix: Prefix, given: string | undefined): string {
    const generated = this.draw(prefix)
    return given === undefined ? generated : legalName(given)
  }

  /** A name given to a store does not: later names move up by one. */
  store(prefix: string, given: string | undefined): string {
    return given === undefined ? this.draw(`${prefix}STATE-STORE-`) : legalName(given)
  }

  draw(prefix: string): string {
    return prefix + String(this.#next++).padStart(10, '0')
  }
}

/** Whether nodes made for a topic of this base draw their names (they always draw their numbers). */
export function isGenerated(base: string): boolean {
  return GENERATED.test(base)
}

/** Returns the name if it may name a topic, node or store; NAME_INVALID otherwise. */
export function legalName(name: string): string {
  if (name === '') throw new TopologyError('NAME_INVALID', 'a name must not be empty')
  if (name.length > LENGTH_MAX) {
    const shown = `${name.slice(0, 40)}…`
    throw new TopologyError('NAME_INVALID', `"${shown}" is longer than ${LENGTH_MAX} characters`)
  }
  if (name === '.' || name === '..') {
    throw new TopologyError('NAME_INVALID', `"${name}" cannot be a name`)
  }
  if (!LEGAL.test(name)) {
    throw new TopologyError('NAME_INVALID', `"${name}": only a-z A-Z 0-9 . _ - may be used`)
  }
  return name
}
