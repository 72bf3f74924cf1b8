/**
 * Which boot of the machine this is: what was not synced before the last one may be gone.
 *
 * Invariant: two calls agree until the machine restarts. Where the system does not tell, the answer is UNKNOWN_BOOT.
 */
import { readFileSync } from 'node:fs'

export const UNKNOWN_BOOT = 'unknown'

export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return UNKNOWN_BOOT
  }
}
