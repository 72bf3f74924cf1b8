/**
 * Writes each record to a topic: a fixed one, or the one that the program chooses for the record.
 *
 * Invariant: a record leaves with the headers in hand (R2); a windowed key is partitioned by its inner key (3.5).
 */
import type { AnySerde } from '../node.ts'
import type { Processor, RecordCollector } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { NodeOf, Wiring } from '../wiring.ts'

export class Sink implements Processor {
  readonly name: string
  readonly #topic: string
  readonly #topicOf: ((value: unknown, key: unknown) => string) | undefined
  readonly #key: AnySerde
  readonly #value: AnySerde
  readonly #partitionKey: ((key: unknown) => Uint8Array) | undefined
  readonly #collector: RecordCollector
  readonly #run: RunContext

  constructor(node: NodeOf<'sink'>, { run }: Wiring) {
    this.name = node.name
    this.#topic = typeof node.topic === 'string' ? node.topic : ''
    this.#topicOf = typeof node.topic === 'string' ? undefined : node.topic
    this.#key = node.internal ? node.key.trusted : node.key
    this.#value = node.internal ? node.value.trusted : node.value
    this.#partitionKey = node.partitionKey
    this.#collector = run.environment.collector
    this.#run = run
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.#collector.collect(
      this.#topicOf === undefined ? this.#topic : this.#topicOf(value, key),
      undefined,
      key,
      this.#key,
      value,
      this.#value,
      timestampMs,
      this.#run.headers,
      this.#partitionKey,
    )
  }
}
