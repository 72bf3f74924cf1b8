/**
 * Which start of this machine we are in: what was written before another one may have been lost without a trace (R8).
 *
 * Invariant: two answers are equal only within one run of the kernel.
 */
import { readFileSync } from 'node:fs'

/** Undefined where the system does not tell, so that a caller has to expect the worst. Containers share their host's. */
export function readBootId(path: string = '/proc/sys/kernel/random/boot_id'): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
