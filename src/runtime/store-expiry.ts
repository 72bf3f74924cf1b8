/**
 * How rows that expire leave a store's changelog: by tombstones of ours, or by the topic's own deletion by age.
 *
 * Invariant: what the live store writes and what a restorer expects to read are decided here, by the changelog's settings alone.
 */
import type { RestoreSpec } from '#state'
import type { StoreSpec } from '#topology'

/** A topic that is only compacted keeps the last record of every key until a tombstone comes. */
export function logsExpiry({ changelogConfig }: StoreSpec): boolean {
  return changelogConfig['cleanup.policy'] === 'compact'
}

/** `holdsWindows`: time is the slowest upstream's (R12), so windows far below the newest may be open. */
export function restoreSpecOf(spec: StoreSpec, holdsWindows: boolean): RestoreSpec {
  if (spec.kind !== 'window' && spec.kind !== 'dedupe') return spec
  if (logsExpiry(spec)) return { ...spec, expiry: 'logged' }
  // Ids are accepted at stream time, whichever that is.
  if (spec.kind === 'dedupe') return { ...spec, expiry: 'by-time' }
  return { ...spec, expiry: holdsWindows ? 'kept' : 'by-time' }
}
