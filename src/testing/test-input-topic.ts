/**
 * Where a test puts records in: typed by the topic, with a time that moves on by itself if asked to.
 *
 * Invariant: a record is processed to the end, through every repartition topic, when the promise resolves.
 */
import type { RecordHeaders } from '#log'
import type { Topic } from '#topology'

/** A record as tests give and get it; nulls where bytes are absent. */
export interface TestRecord<K, V> {
  readonly key: K | null
  readonly value: V | null
  readonly timestampMs: number
  readonly headers: RecordHeaders
}

/** What a piped record may leave out: a null key, the topic's time, no headers. */
export type PipedRecord<K, V> = Partial<TestRecord<K, V>> & { readonly value: V | null }

export interface InputTopicOptions {
  /** Time of the first record that names none; the wall clock's at creation unless told. */
  readonly startMs?: number
  /** How far time moves on after each such record; 0 unless told. */
  readonly advanceMs?: number
}

/** Appends bytes to a topic and processes what follows from it. */
export type PipeBytes = (
  topic: string,
  record: {
    readonly key: Uint8Array | null
    readonly value: Uint8Array | null
    readonly timestampMs: number
    readonly headers: RecordHeaders
  },
) => Promise<void>

type PipedArguments<K, V> =
  [record: PipedRecord<K, V>] | [key: K | null, value: V | null, timestampMs?: number | undefined]

export class TestInputTopic<K, V> {
  readonly #topic: Topic<K, V>
  readonly #pipe: PipeBytes
  readonly #advanceMs: number
  #timeMs: number

  constructor(topic: Topic<K, V>, pipe: PipeBytes, nowMs: number, options: InputTopicOptions) {
    this.#topic = topic
    this.#pipe = pipe
    this.#timeMs = options.startMs ?? nowMs
    this.#advanceMs = options.advanceMs ?? 0
  }

  /** Moves the topic's own time on. */
  advanceTime(byMs: number): void {
    this.#timeMs += byMs
  }

  /** One record: `pipeInput('k', value)`, at a time of its own if one is given; or a whole record, headers and all. */
  pipeInput(key: K | null, value: V | null, timestampMs?: number): Promise<void>
  pipeInput(record: PipedRecord<K, V>): Promise<void>
  pipeInput(...given: PipedArguments<K, V>): Promise<void> {
    if (given.length === 1) return this.#pipeRecord(given[0])
    const [key, value, timestampMs] = given
    return this.#pipeRecord({ key, value, ...(timestampMs !== undefined && { timestampMs }) })
  }

  async pipeKeyValueList(
    pairs: Iterable<readonly [key: K | null, value: V | null]>,
  ): Promise<void> {
    for (const [key, value] of pairs) await this.pipeInput(key, value)
  }

  async pipeValueList(values: Iterable<V | null>): Promise<void> {
    for (const value of values) await this.pipeInput(null, value)
  }

  async pipeRecordList(records: Iterable<PipedRecord<K, V>>): Promise<void> {
    for (const record of records) await this.pipeInput(record)
  }

  #pipeRecord(record: PipedRecord<K, V>): Promise<void> {
    const { key = null, value, timestampMs = this.#nextTimeMs(), headers = [] } = record
    const bytes = this.#topic.encode(key, value)
    return this.#pipe(this.#topic.name, { ...bytes, timestampMs, headers })
  }

  #nextTimeMs(): number {
    const timeMs = this.#timeMs
    this.#timeMs += this.#advanceMs
    return timeMs
  }
}
