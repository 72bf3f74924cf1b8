/**
 * What counting and reducing are made of.
 *
 * Invariant: an adder returns a new aggregate; the one it is given stays what it was.
 */
import type { Adder } from './node.ts'

export const count: Adder = {
  initial: () => 0,
  add: (aggregate) => (aggregate as number) + 1,
}

/** The first value is the first aggregate. */
export function reduce(add: Adder['add']): Adder {
  return { initial: undefined, add }
}
