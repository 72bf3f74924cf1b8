/**
 * Chance that a seed repeats: what is killed, stopped or lost, and when.
 *
 * Invariant: the same seed gives the same numbers; what processes make of them is theirs.
 */
import { numbersOf } from '../../test-helper/recording.ts'

export class Seeded {
  /** From 0 up to, not including, 1. */
  readonly next: () => number

  constructor(seed: number) {
    this.next = numbersOf(seed)
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  pick<T>(from: readonly T[]): T {
    const one = from[this.between(0, from.length - 1)]
    if (one === undefined) throw new RangeError('nothing to pick from')
    return one
  }
}
