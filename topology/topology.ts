/**
 * A topology: frozen, printable, comparable, with nothing running.
 *
 * Invariant: two topologies built by the same calls are equal, names and numbers included.
 */
import type { SinkNode, SourceNode, StoreSpec, TopologyNode } from './node.ts'

/** A topic the application owns; its full name is `<application id>-<name>`, as Kafka Streams names it. */
export interface InternalTopic {
  /** Without the application id; ends in `-repartition` or `-changelog`. */
  readonly name: string
  readonly kind: 'repartition' | 'changelog'
  /** Asked for by the program; else the writing sub-topology's inputs decide (3.4). */
  readonly partitions: number | undefined
  readonly config: Readonly<Record<string, string>>
}

/** What is connected without going through a topic; a task is one of these on one partition. */
export interface SubTopology {
  readonly number: number
  /** Nodes in wiring order: parents before children. */
  readonly nodes: readonly TopologyNode[]
  readonly sources: readonly SourceNode[]
  readonly sinks: readonly SinkNode[]
  readonly stores: readonly StoreSpec[]
  /** Groups of topics (without application id where internal) that must have equal partition counts. */
  readonly coPartitioned: readonly (readonly string[])[]
}

export interface Topology {
  readonly applicationId: string
  readonly nodes: readonly TopologyNode[]
  readonly subTopologies: readonly SubTopology[]
  /** Names of topics that the nodes mention and the application owns (so they get its prefix). */
  readonly internalTopics: readonly InternalTopic[]
  /** Turns deliberate deviations off (docs/deviations.md). */
  readonly compatibility: 'kafka-streams' | undefined
  /** Kafka Streams' text, byte for byte. */
  describe(): string
  toMermaid(): string
  toDot(): string
  toJSON(): unknown
}

/** The name of a topic as the log knows it: internal ones carry the application id. */
export function topicNameOnLog(topology: Topology, topic: string): string {
  const isInternal = topology.internalTopics.some((internal) => internal.name === topic)
  return isInternal ? `${topology.applicationId}-${topic}` : topic
}

export type TopologyErrorCode =
  /** A name of a node, store or internal topic is used twice: choose another. */
  | 'NAME_TAKEN'
  /** A name is not legal for a topic or store: 1–249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`. */
  | 'NAME_INVALID'
  /** A generated name where names are required: give one. */
  | 'NAME_REQUIRED'
  /** An option's value makes no sense; the message names it. */
  | 'OPTION_INVALID'
  /** A store that is named was not added, or is not connected to this node. */
  | 'STORE_UNKNOWN'
  /** The same topic is read twice in ways that differ. */
  | 'TOPIC_TAKEN'
  /** Inputs that meet must have the same partition count: repartition one of them. */
  | 'NOT_CO_PARTITIONED'
  /** A schema that validates asynchronously cannot decode in the hot path: use a synchronous one. */
  | 'SCHEMA_ASYNC'
  /** Suppress until windows close needs windows with a grace upstream. */
  | 'WINDOW_REQUIRED'
  /** Asked for something that this operator cannot do; the message says what can. */
  | 'UNSUPPORTED'
  /** A value or bytes that its serde cannot take: the record becomes a dead letter; mend the writer or the schema. */
  | 'SERDE_INVALID'
  /** A record's time is negative or no number: choose another extractor (`timestamps`) or mend the writer. */
  | 'TIMESTAMP_INVALID'
  /** Suppress holds more than it may and was told to shut down then: raise its limit, or let it emit early. */
  | 'BUFFER_FULL'

export class TopologyError extends Error {
  override readonly name: string = 'TopologyError'
  readonly code: TopologyErrorCode

  constructor(
    code: TopologyErrorCode,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.code = code
  }
}
