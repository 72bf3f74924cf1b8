/**
 * A user's function from value to value, with stores.
 *
 * Invariant: key, time and headers stay; `undefined` drops the record, `null` is a tombstone.
 */
import type { UserContext } from '../user-context.ts'
import type { Processor, ValueProcessor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { Wiring } from '../wiring.ts'

export class ProcessValues implements Processor {
  readonly name: string
  readonly #processor: ValueProcessor
  readonly #context: UserContext
  readonly #run: RunContext
  readonly #next: Processor

  constructor(name: string, processor: ValueProcessor, context: UserContext, wiring: Wiring) {
    this.name = name
    this.#processor = processor
    this.#context = context
    this.#run = wiring.run
    this.#next = wiring.next
  }

  init(): void {
    this.#processor.init?.(this.#context)
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    this.#run.node = this.name
    this.#run.timestampMs = timestampMs
    const result = this.#processor.processValue(value, key)
    if (result !== undefined) this.#next.process(key, result, timestampMs)
  }

  close(): void {
    this.#processor.close?.()
  }
}
