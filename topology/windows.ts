/**
 * Windows of event time, aligned to the epoch: `[start, end)`, a record may be in several.
 *
 * Invariant: a window takes records while stream time is below its end plus grace (W2).
 */
import type { TimeWindowsSpec } from './node.ts'
import { TopologyError } from './topology.ts'
import { wholeNumber } from './whole-number.ts'

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
  wholeNumber('sizeMs', sizeMs, 1)
  wholeNumber('advanceMs', advanceMs, 1)
  wholeNumber('graceMs', graceMs, 0)
  if (advanceMs > sizeMs) {
    const message = `advanceMs (${advanceMs}) must not be greater than sizeMs (${sizeMs})`
    throw new TopologyError('OPTION_INVALID', message)
  }
  return Object.freeze({ sizeMs, advanceMs, graceMs })
}
