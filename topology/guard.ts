/**
 * Lets a processor's error end there, as Kafka Streams does with its handler for processing errors: for compatibility only.
 *
 * Invariant: the innermost processor that throws is the one that is passed over; its siblings and parents go on as if it had
 * returned. (Elsewhere a record that throws is undone whole, R15.)
 */
import type { Processor } from './processor.ts'

export type PassOver = (node: string, error: unknown) => boolean

export class Guard implements Processor {
  readonly name: string
  readonly #guarded: Processor
  readonly #passOver: PassOver

  constructor(guarded: Processor, passOver: PassOver) {
    this.name = guarded.name
    this.#guarded = guarded
    this.#passOver = passOver
  }

  process(key: unknown, value: unknown, timestampMs: number, oldValue?: unknown): void {
    try {
      this.#guarded.process(key, value, timestampMs, oldValue)
    } catch (error) {
      if (!this.#passOver(this.name, error)) throw error
    }
  }
}
