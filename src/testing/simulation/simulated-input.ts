/**
 * A record that a simulation gives to an input topic, and what its generator may go by.
 *
 * Invariant: bytes; the chance that made them was the draw's.
 */
import type { WritableTopic } from '#topology'
import type { SeededRandom } from './seeded-random.ts'

/** A record for an input topic, as bytes. */
export interface SimulatedInput {
  readonly topic: string
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** The simulation's wall clock unless told. */
  readonly timestampMs?: number
}

/** What a generator of inputs may go by. */
export interface InputDraw {
  readonly random: SeededRandom
  /** Counted from 0. */
  readonly index: number
  readonly nowMs: number
}

/** A record as a topic declares it, for `input`. */
export function inputTo<K, V>(
  topic: WritableTopic<K, V>,
  key: K | null,
  value: V | null,
  timestampMs?: number,
): SimulatedInput {
  const encoded = topic.encode(key, value)
  return { topic: topic.name, ...encoded, ...(timestampMs !== undefined && { timestampMs }) }
}
