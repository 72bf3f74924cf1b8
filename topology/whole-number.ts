/**
 * Options that must be whole numbers: milliseconds, counts.
 *
 * Invariant: what has passed is an exact whole number of at least the least one.
 */
import { TopologyError } from './topology.ts'

/** OPTION_INVALID if `value` is no whole number, or less than `least`. */
export function wholeNumber(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  const message = `${option} must be a whole number of at least ${least}, not ${value}`
  throw new TopologyError('OPTION_INVALID', message)
}
