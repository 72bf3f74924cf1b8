/**
 * `new StreamsBuilder('app')`: where a topology begins. The second face, `{ names: 'generated' }`, is for taking over a Java
 * application: names are drawn and repartition topics inserted as Kafka Streams does.
 *
 * Invariant: the same calls in the same order build equal topologies.
 */
import { Draft, type DraftOptions } from './draft.ts'
import type { KStream, StoredKTable } from './dsl.ts'
import type { Faces } from './faces.ts'
import type { GeneratedStreamsBuilder } from './generated-dsl.ts'
import { GeneratedBuilder } from './generated-builder.ts'
import { json } from './json-serde.ts'
import { NamedGrouped } from './named-grouped.ts'
import { NamedStream } from './named-stream.ts'
import { NamedTable } from './named-table.ts'
import { legalName } from './names.ts'
import { string } from './primitive-serdes.ts'
import type { Serde } from './serde.ts'
import { SourceDrafts, type SourceOptions } from './source-draft.ts'
import type { StoreSettings } from './store-specs.ts'
import type { ReadableTopic } from './topic.ts'
import type { Topology } from './topology.ts'

export interface BuilderOptions {
  /** Turns deliberate deviations from Kafka Streams off (docs/deviations.md). */
  readonly compatibility?: 'kafka-streams'
}

export interface GeneratedBuilderOptions extends BuilderOptions {
  readonly names: 'generated'
  /** Refuses, when built, stores and internal topics whose names were drawn (NAME_REQUIRED). */
  readonly ensureExplicitNames?: boolean
  /**
   * Kafka Streams' record cache, which it has unless `statestore.cache.max.bytes` is 0: stored tables forward their changes per
   * commit, but for those whose `materialized` says `caching: false`.
   */
  readonly caching?: boolean
  /** The application's default serdes; string and JSON unless told. */
  readonly key?: Serde<unknown>
  readonly value?: Serde<unknown>
}

export interface StreamsBuilder {
  readonly applicationId: string
  /** A topic's records as facts. Topics read together must have the same serdes. */
  stream<K, V>(
    topics: ReadableTopic<K, V> | readonly ReadableTopic<K, V>[],
    options?: SourceOptions<V>,
  ): KStream<K, V>
  /** A topic's records as the changes of a table, kept in a store called `name`. */
  table<K, V>(
    name: string,
    topic: ReadableTopic<K, V>,
    options?: SourceOptions<V> & StoreSettings,
  ): StoredKTable<K, V>
  /** What has been described so far, frozen. */
  build(): Topology
}

export interface StreamsBuilderConstructor {
  new (applicationId: string, options?: BuilderOptions): StreamsBuilder
  new (applicationId: string, options: GeneratedBuilderOptions): GeneratedStreamsBuilder
}

type AnyTopic = ReadableTopic<unknown, unknown>

class NamedBuilder {
  readonly applicationId: string
  readonly #draft: Draft
  readonly #sources: SourceDrafts
  readonly #faces: Faces = {
    stream: (draft) => new NamedStream(draft, this.#faces),
    grouped: (draft, windows) => new NamedGrouped(draft, this.#faces, windows),
    table: (draft) => new NamedTable(draft, this.#faces),
  }

  constructor(draft: Draft) {
    this.applicationId = draft.options.applicationId
    this.#draft = draft
    this.#sources = new SourceDrafts(draft)
  }

  stream(topics: AnyTopic | readonly AnyTopic[], options: SourceOptions<unknown> = {}): object {
    const list = 'name' in topics ? [topics] : topics
    return this.#faces.stream(this.#sources.stream(list, options, undefined))
  }

  table(
    store: string,
    topic: AnyTopic,
    options: SourceOptions<unknown> & StoreSettings = {},
  ): object {
    return this.#faces.table(this.#sources.table(topic, options, { store, settings: options }))
  }

  build(): Topology {
    return this.#draft.build()
  }
}

function createBuilder(
  applicationId: string,
  options: BuilderOptions | GeneratedBuilderOptions = {},
): object {
  const isGenerated = 'names' in options
  const settings: DraftOptions = {
    applicationId: legalName(applicationId),
    generatesNames: isGenerated,
    ensuresExplicitNames: isGenerated && options.ensureExplicitNames === true,
    compatibility: options.compatibility,
    caching: isGenerated && options.caching === true,
    key: (isGenerated ? options.key : undefined) ?? string(),
    value: (isGenerated ? options.value : undefined) ?? json(),
  }
  const draft = new Draft(settings)
  return isGenerated ? new GeneratedBuilder(draft) : new NamedBuilder(draft)
}

/** Called with `new`: what it returns is one of the two builders, which the options choose. */
export const StreamsBuilder: StreamsBuilderConstructor = function StreamsBuilder(
  applicationId: string,
  options?: BuilderOptions | GeneratedBuilderOptions,
): object {
  return createBuilder(applicationId, options)
} as unknown as StreamsBuilderConstructor
