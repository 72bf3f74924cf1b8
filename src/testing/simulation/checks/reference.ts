/**
 * A second opinion: what a task must write, worked out by code that shares nothing with the engine.
 *
 * Invariant: a fold. It sees what the task took, in the order in which it took it, and the times that silence made.
 */
import type { SimulatedInput } from '../simulated-input.ts'

/** A record as the task took it. */
export interface TakenRecord {
  readonly topic: string
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestampMs: number
}

export interface ReferenceTask {
  /** What must be written for it, in order; the time of each is compared if it is given. */
  take(record: TakenRecord): readonly SimulatedInput[]
  /** The same for a tick (R9): nothing came for so long that it was this late. */
  tick?(timeMs: number): readonly SimulatedInput[]
  /** The same for a schedule that the wall clock has fired; its name is `<node>#<n>`. */
  punctuate?(name: string, timeMs: number): readonly SimulatedInput[]
}

/** One fold a task, from its beginning; undefined: nothing is known of it. */
export type Reference = (task: {
  readonly subTopology: number
  readonly partition: number
}) => ReferenceTask | undefined
