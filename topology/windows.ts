/**
 * Windows of event time, aligned to the epoch: `[start, end)`, a record may be in several.
 *
 * Invariant: a window takes records while stream time is below its end plus grace (W2).
 */
import type { TimeWindowsSpec } from './node.ts'
import { TopologyError } from './topology.ts'

/** Windows side by side. `graceMs`: how long after its end a window still takes records. */
export function tumbling({
  sizeMs,
  graceMs,
}: {
  readonly sizeMs: number
  readonly graceMs: number
}): TimeWindowsSpec {
  return windows({ sizeMs, advanceMs: sizeMs, graceMs })
}

/** Windows that begin every `advanceMs` and overlap where that is less than their size. */
export function hopping(spec: TimeWindowsSpec): TimeWindowsSpec {
  return windows(spec)
}

function windows({ sizeMs, advanceMs, graceMs }: TimeWindowsSpec): TimeWindowsSpec {
  wholeMs('sizeMs', sizeMs, 1)
  wholeMs('advanceMs', advanceMs, 1)
  wholeMs('graceMs', graceMs, 0)
  if (advanceMs > sizeMs) {
    const message = `advanceMs (${advanceMs}) must not be greater than sizeMs (${sizeMs})`
    throw new TopologyError('OPTION_INVALID', message)
  }
  return Object.freeze({ sizeMs, advanceMs, graceMs })
}

/** Refuses what is no whole number of milliseconds, or too small a one. */
export function wholeMs(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  const message = `${option} must be a whole number of at least ${least}, not ${value}`
  throw new TopologyError('OPTION_INVALID', message)
}
