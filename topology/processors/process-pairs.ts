/**
 * A user's generator from a record to records, with stores.
 *
 * Invariant: each pair has gone all the way down before the generator goes on; time and headers are the record's.
 */
import type { PairProcessor, Processor } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { UserContext } from '../user-context.ts'
import type { Wiring } from '../wiring.ts'

export class ProcessPairs implements Processor {
  readonly name: string
  readonly #processor: PairProcessor
  readonly #context: UserContext
  readonly #run: RunContext
  readonly #next: Processor

  constructor(name: string, processor: PairProcessor, context: UserContext, wiring: Wiring) {
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
    for (const pair of this.#processor.processPairs(value, key)) {
      this.#next.process(pair[0] ?? null, pair[1] ?? null, timestampMs)
      // Processors further down have had the context meanwhile.
      this.#run.node = this.name
      this.#run.timestampMs = timestampMs
    }
  }

  close(): void {
    this.#processor.close?.()
  }
}
