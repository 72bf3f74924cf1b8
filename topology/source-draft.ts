/**
 * The sources of a topology in the making: streams and tables of topics that others write.
 *
 * Invariant: a topic is read by one source, however often the program asks for it.
 */
import type { Draft } from './draft.ts'
import { PREFIX } from './names.ts'
import type { AnySerde, IdlePolicy, SourceNode } from './node.ts'
import { type CachedSettings, emitOf, tableStore } from './store-specs.ts'
import { StreamDraft } from './stream-draft.ts'
import { TableDraft } from './table-draft.ts'
import { extractorOf, type Timestamps } from './timestamps.ts'
import { TopologyError } from './topology.ts'
import type { ReadableTopic } from './topic.ts'
import { wholeNumber } from './whole-number.ts'

export interface SourceOptions<V> {
  /** Where event time comes from; the application's default otherwise. */
  readonly timestamps?: Timestamps<V>
  /** R9: after this long without a record, stream time goes on, so that windows close though nothing arrives. */
  readonly idle?: IdlePolicy
  /** R14: a record further ahead of everything seen and of the clock is a dead letter; a day unless told; Infinity = never. */
  readonly maxAdvanceMs?: number
}

type AnyTopic = ReadableTopic<unknown, unknown>
type Reading = Pick<SourceNode, 'topics' | 'timestampExtractor' | 'idle' | 'maxAdvanceMs'> & {
  readonly key: AnySerde
  readonly value: AnySerde
  readonly isTable: boolean
}

const MAX_ADVANCE_MS = 86_400_000

export class SourceDrafts {
  readonly #draft: Draft
  readonly #byTopic = new Map<string, { readonly node: string; readonly reading: Reading }>()

  constructor(draft: Draft) {
    this.#draft = draft
  }

  stream(
    topics: readonly AnyTopic[],
    options: SourceOptions<unknown>,
    given: string | undefined,
  ): StreamDraft {
    const drawn = this.#draft.names.node(PREFIX.source, given)
    const reading = this.#reading(topics, options, false)
    const node = this.#known(reading) ?? this.#add(drawn, reading)
    const { key, value } = reading
    return new StreamDraft(this.#draft, {
      node,
      name: drawn,
      sources: [node],
      rekeyed: false,
      key,
      value,
    })
  }

  table(
    topic: AnyTopic,
    options: SourceOptions<unknown>,
    {
      node,
      store,
      settings = {},
    }: {
      readonly node?: string | undefined
      readonly store?: string | undefined
      readonly settings?: CachedSettings | undefined
    },
  ): TableDraft {
    const draft = this.#draft
    const storeName = draft.names.store(`${topic.name}-`, store)
    const source = draft.names.node(
      PREFIX.source,
      node === undefined ? undefined : `${node}-source`,
    )
    const name = draft.names.node(PREFIX.tableSource, node)
    const reading = this.#reading([topic], options, true)
    this.#known(reading)
    const { key, value } = reading
    const table = new TableDraft(draft, {
      name,
      sources: [source],
      key,
      value,
      store: storeName,
      isKept: store !== undefined,
      emit: emitOf(draft, settings),
    })
    const spec = tableStore(draft, storeName, reading, settings)
    draft.addStore(spec, table, () => table.isKept)
    draft.reachStore(storeName, [source])
    this.#add(source, reading)
    const parents = [source]
    draft.add({
      name,
      above: parents,
      build: () => ({ kind: 'table-source', name, parents, ...table.kept() }),
    })
    return table
  }

  #reading(
    topics: readonly AnyTopic[],
    { timestamps, idle, maxAdvanceMs }: SourceOptions<unknown>,
    isTable: boolean,
  ): Reading {
    const [first] = topics
    if (first === undefined) throw new TopologyError('OPTION_INVALID', 'name a topic to read')
    if (idle !== undefined) wholeNumber('idle.closeMs', idle.closeMs, 1)
    return {
      topics: topics.map(({ name }) => name),
      key: first.key,
      value: first.value,
      timestampExtractor: extractorOf(timestamps),
      idle,
      maxAdvanceMs: this.#maxAdvanceMs(maxAdvanceMs),
      isTable,
    }
  }

  #maxAdvanceMs(asked: number | undefined): number | undefined {
    const { compatibility } = this.#draft.options
    const maxAdvanceMs = asked ?? (compatibility === undefined ? MAX_ADVANCE_MS : Infinity)
    if (maxAdvanceMs === Infinity) return undefined
    wholeNumber('maxAdvanceMs', maxAdvanceMs, 0)
    return maxAdvanceMs
  }

  #add(name: string, reading: Reading): string {
    const { isTable: _, ...read } = reading
    const source: SourceNode = {
      kind: 'source',
      name,
      parents: [],
      stores: [],
      ...read,
      internal: false,
      time: 'records',
    }
    this.#draft.add({ name, above: [], build: () => source })
    for (const topic of reading.topics) this.#byTopic.set(topic, { node: name, reading })
    return name
  }

  /** The source that reads these topics already; TOPIC_TAKEN if any of them is read in another way. */
  #known(reading: Reading): string | undefined {
    for (const topic of reading.topics) {
      const known = this.#byTopic.get(topic)
      if (known === undefined) continue
      const difference = differenceOf(known.reading, reading, this.#draft.options.generatesNames)
      if (difference === undefined) return known.node
      throw new TopologyError('TOPIC_TAKEN', `${topic} is read already, ${difference}`)
    }
    return undefined
  }
}

/** Kafka Streams takes the first call's settings and says nothing about others; named topologies are told. */
function differenceOf(one: Reading, other: Reading, isLenient: boolean): string | undefined {
  if (one.isTable || other.isTable) return 'and a table has its topic for itself'
  const isSame = [...one.topics].sort().join() === [...other.topics].sort().join()
  if (!isSame) return 'together with others: read the same topics, or each alone'
  if (isLenient) return undefined
  if (one.key !== other.key || one.value !== other.value) return 'with other serdes'
  if (one.timestampExtractor?.name !== other.timestampExtractor?.name)
    return 'with other timestamps'
  if (one.maxAdvanceMs !== other.maxAdvanceMs) return 'with another maxAdvanceMs'
  if (one.idle?.closeMs !== other.idle?.closeMs || one.idle?.after !== other.idle?.after) {
    return 'with another idle policy'
  }
  return undefined
}
