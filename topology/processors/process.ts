/**
 * A user's processor as a class: whole records in, `context.forward` out.
 *
 * Invariant: it is made once a task and sees every record of its partition in order; what it keeps in fields does not
 * survive a restart, what it keeps in stores does.
 */
import type { Processor, ProcessorInstance, StreamRecord } from '../processor.ts'
import type { RunContext } from '../run-context.ts'
import type { UserContext } from '../user-context.ts'
import type { Wiring } from '../wiring.ts'

export class Process implements Processor {
  readonly name: string
  readonly #processor: ProcessorInstance<unknown, unknown, unknown, unknown>
  readonly #context: UserContext
  readonly #run: RunContext

  constructor(
    name: string,
    processor: ProcessorInstance<unknown, unknown, unknown, unknown>,
    context: UserContext,
    wiring: Wiring,
  ) {
    this.name = name
    this.#processor = processor
    this.#context = context
    this.#run = wiring.run
  }

  init(): void {
    this.#processor.init?.(this.#context)
  }

  process(key: unknown, value: unknown, timestampMs: number): void {
    const record: StreamRecord<unknown, unknown> = {
      key,
      value,
      timestampMs,
      headers: this.#run.headers,
    }
    this.#run.node = this.name
    this.#run.timestampMs = timestampMs
    this.#context.inHand = record
    try {
      this.#processor.process(record)
    } finally {
      this.#context.inHand = undefined
    }
  }

  close(): void {
    this.#processor.close?.()
  }
}
