/**
 * The only door to chance: handed in, so that a failing run is a seed.
 *
 * Invariant: nothing outside this file, the command line and tests draws a random number.
 */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** A version-7 UUID: unique, and sortable by the time it was drawn. */
  uuid(): string
}

export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => Bun.randomUUIDv7(),
}

/** A full-jitter back-off: a random wait below `baseMs` doubled per attempt (counted from 0), `maxMs` at most. */
export function jitteredBackoffMs(
  random: Random,
  attempt: number,
  { baseMs, maxMs }: { baseMs: number; maxMs: number },
): number {
  return random.next() * Math.min(maxMs, baseMs * 2 ** attempt)
}
