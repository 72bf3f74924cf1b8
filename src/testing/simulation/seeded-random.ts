/**
 * Chance that is a seed: mulberry32, and ids that count up.
 *
 * Invariant: the same seed and the same calls give the same answers, on every machine.
 */
import type { Random } from '#system'

export class SeededRandom implements Random {
  #state: number
  readonly #name: string
  #ids: number = 0

  constructor(seed: number, name: string = 'id') {
    // Neighbouring seeds begin far apart.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
    this.#name = name
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  uuid(): string {
    this.#ids += 1
    return `${this.#name}-${String(this.#ids).padStart(6, '0')}`
  }

  /** A whole number from 0 up to `limit`, which is not included. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  pick<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(choices.length)]
  }

  /** Chance of its own, so that what one part draws does not move what another does. */
  fork(name: string): SeededRandom {
    return new SeededRandom(Math.floor(this.next() * 4_294_967_296), name)
  }
}
