/**
 * One topic's way into a pipeline: from bytes to key, value and event time.
 *
 * Invariant: a record is decoded with the source's serdes, the trusted ones where only this application writes, and its
 * time is the extractor's answer (T2, T3).
 */
import type { RawRecord } from '#log'
import type { AnySerde, SourceNode, TimestampExtractor } from './node.ts'
import type { DecodedRecord } from './pipeline-contract.ts'
import type { Processor } from './processor.ts'
import { failOnInvalidTimestamp } from './timestamps.ts'

export class PipelineSource {
  readonly name: string
  /** As the log names it. */
  readonly topic: string
  readonly next: Processor
  readonly #key: AnySerde
  readonly #value: AnySerde
  readonly #extractor: TimestampExtractor
  /** The answer of `decode`, filled anew by each call. */
  readonly #decoded: { key: unknown; value: unknown; timestampMs: number } = {
    key: null,
    value: null,
    timestampMs: -1,
  }

  constructor(
    node: SourceNode,
    topic: string,
    next: Processor,
    byDefault: TimestampExtractor | undefined,
  ) {
    this.name = node.name
    this.topic = topic
    this.next = next
    this.#key = node.internal ? node.key.trusted : node.key
    this.#value = node.internal ? node.value.trusted : node.value
    this.#extractor = node.internal
      ? failOnInvalidTimestamp
      : (node.timestampExtractor ?? byDefault ?? failOnInvalidTimestamp)
  }

  /** What it returns is valid until the next call. */
  decode(partition: number, record: RawRecord, partitionTimeMs: number): DecodedRecord {
    const { buffer, keyStart, valueStart, timestampMs } = record
    const key = keyStart < 0 ? null : this.#key.read(buffer, keyStart, record.keyEnd)
    const value = valueStart < 0 ? null : this.#value.read(buffer, valueStart, record.valueEnd)
    const decoded = this.#decoded
    decoded.key = key
    decoded.value = value
    decoded.timestampMs = timestampMs
    // The commonest answer, without an object to ask with.
    if (timestampMs >= 0 && this.#extractor === failOnInvalidTimestamp) return decoded
    const { topic } = this
    const question = { key, value, timestampMs, offset: record.offset, topic, partition }
    decoded.timestampMs = this.#extractor.extract(question, partitionTimeMs)
    return decoded
  }
}
