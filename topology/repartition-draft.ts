/**
 * A repartition topic in the making: filter, sink, topic, source, with Kafka Streams' names (1.7).
 *
 * Invariant: what comes below the source has its key's own partition again.
 */
import type { Draft } from './draft.ts'
import { isGenerated, legalName, PREFIX } from './names.ts'
import type { AnySerde, SinkNode, SourceNode } from './node.ts'
import { failOnInvalidTimestamp } from './timestamps.ts'
import { wholeNumber } from './whole-number.ts'

export interface RepartitionSettings {
  readonly partitions?: number | undefined
  /** R12: below, time is the least that any upstream task may still send. */
  readonly time?: 'records' | 'slowest-upstream' | undefined
}

const SUFFIX = '-repartition'

/** Adds it below `parent` and returns the name of its source. `base`: what the topic is named after. */
export function addRepartition(
  draft: Draft,
  parent: string,
  base: string,
  { key, value }: { readonly key: AnySerde; readonly value: AnySerde },
  { partitions: asked, time = 'records' }: RepartitionSettings,
): string {
  const partitions = partitionsAsked(draft, asked)
  const topic = legalName(base.endsWith(SUFFIX) ? base : base + SUFFIX)
  const { sink, filter, source } = nodeNames(draft, base, topic)
  draft.addRepartition({ name: topic, partitions })
  draft.add({
    name: filter,
    above: [parent],
    build: () => ({ kind: 'drop-null-keys', name: filter, parents: [parent], stores: [] }),
  })
  draft.add({
    name: sink,
    above: [filter],
    build: (): SinkNode => ({
      kind: 'sink',
      name: sink,
      parents: [filter],
      stores: [],
      topic,
      key,
      value,
      partitionKey: undefined,
      internal: true,
      sendsTime: time === 'slowest-upstream',
    }),
  })
  draft.add({
    name: source,
    above: [sink],
    build: (): SourceNode => ({
      kind: 'source',
      name: source,
      parents: [],
      stores: [],
      topics: [topic],
      key: key.trusted,
      value: value.trusted,
      timestampExtractor: failOnInvalidTimestamp,
      internal: true,
      idle: undefined,
      maxAdvanceMs: undefined,
      time,
    }),
  })
  return source
}

/** The numbers are drawn in this order, also where the names are made of the topic's. */
function nodeNames(
  draft: Draft,
  base: string,
  topic: string,
): { readonly sink: string; readonly filter: string; readonly source: string } {
  const sink = draft.names.draw(PREFIX.sink)
  const filter = draft.names.draw(PREFIX.filter)
  const source = draft.names.draw(PREFIX.source)
  if (isGenerated(base)) return { sink, filter, source }
  return { sink: `${topic}-sink`, filter: `${topic}-filter`, source: `${topic}-source` }
}

/** Kafka Streams accepts 0 when building, and then has as many as the inputs. */
function partitionsAsked(draft: Draft, asked: number | undefined): number | undefined {
  if (asked === undefined) return undefined
  if (asked === 0 && draft.options.compatibility === 'kafka-streams') return undefined
  wholeNumber('partitions', asked, 1)
  return asked
}
