/**
 * Where a test reads results: typed by the topic, each record once, in the order in which they were produced.
 *
 * Invariant: reading takes from this reader only; another one made for the same topic reads everything again.
 */
import { assert } from '#system'
import type { ReadableTopic } from '#topology'
import type { ProducedRecord } from './test-tasks.ts'
import type { TestRecord } from './test-input-topic.ts'

export class TestOutputTopic<K, V> {
  readonly #topic: ReadableTopic<K, V>
  readonly #produced: () => readonly ProducedRecord[]
  #next: number = 0

  constructor(topic: ReadableTopic<K, V>, produced: () => readonly ProducedRecord[]) {
    this.#topic = topic
    this.#produced = produced
  }

  get isEmpty(): boolean {
    return this.getQueueSize() === 0
  }

  /** Records not read yet. */
  getQueueSize(): number {
    return this.#produced().length - this.#next
  }

  readRecord(): TestRecord<K, V> {
    const record = this.#produced()[this.#next]
    assert(record !== undefined, `nothing more was written to ${this.#topic.name}`)
    this.#next += 1
    const { key, value, timestampMs, headers } = record
    return {
      key: key === null ? null : this.#topic.key.decode(key),
      value: value === null ? null : this.#topic.value.decode(value),
      timestampMs,
      headers,
    }
  }

  readValue(): V | null {
    return this.readRecord().value
  }

  readKeyValue(): readonly [key: K | null, value: V | null] {
    const { key, value } = this.readRecord()
    return [key, value]
  }

  readRecordsToList(): readonly TestRecord<K, V>[] {
    return Array.from({ length: this.getQueueSize() }, () => this.readRecord())
  }

  readValuesToList(): readonly (V | null)[] {
    return this.readRecordsToList().map(({ value }) => value)
  }

  readKeyValuesToList(): readonly (readonly [key: K | null, value: V | null])[] {
    return this.readRecordsToList().map(({ key, value }) => [key, value])
  }

  /** The last value of each key. */
  readKeyValuesToMap(): ReadonlyMap<K | null, V | null> {
    return new Map(this.readKeyValuesToList())
  }
}
