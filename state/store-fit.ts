/**
 * Whether a store's contents may be built upon: what its header says against what the log says (R6, R7, R8).
 *
 * Invariant: pure, and in doubt it does not fit: rebuilding costs time, a wrong store is wrong for ever.
 */
import { STORE_FORMAT, type StoreHeader, type WipedStore } from './store.ts'

/** What the log and its owner say about one changelog partition, now. */
export interface ChangelogFacts {
  readonly logId: string
  readonly applicationId: string
  readonly storeName: string
  readonly taskId: string
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly earliestOffset: number
  /** Read uncommitted, after stable offsets (R3). */
  readonly highWatermark: number
  /** End of the leader epoch that the header names for this partition; undefined for an epoch the log never had. */
  readonly endOffsetOfEpoch: number | undefined
  /** Below it compaction may have removed tombstones; undefined where the log cannot know. */
  readonly tombstonesRemovedBelow: number | undefined
  /** How long a tombstone stays: the topic's `delete.retention.ms`. */
  readonly deleteRetentionMs: number
  readonly nowMs: number
}

export type StoreMisfit =
  /** Another application's or another store's. */
  | 'foreign'
  /** Another task's, or another partition's. */
  | 'swapped'
  | 'newer-format'
  /** Filled from another log. */
  | 'other-log'
  /** Filled from a changelog of this name that was deleted since. */
  | 'recreated-changelog'
  /** It holds what this changelog does not: a lost tail, or another branch of history. */
  | 'ahead-of-changelog'
  /** Deletions since its last apply may be gone from the changelog, and their keys would live on. */
  | 'too-old'
  /** The backend's own verdict: it is already empty. */
  | WipedStore['reason']

export type StoreFit =
  /** Restore from `position`: the header's, or the earliest offset for a store that never applied anything. */
  | { readonly fits: true; readonly position: number }
  /** Wipe it (unless the backend has), then restore from the earliest offset. `text` tells people why. */
  | { readonly fits: false; readonly reason: StoreMisfit; readonly text: string }

/**
 * A global store asks once for each partition, and fits when all do. A position ahead of the changelog should be asked about
 * again after the log's metadata was refreshed (R3), before anything is wiped.
 */
export function storeFit(
  header: StoreHeader | undefined,
  changelog: ChangelogFacts,
  wiped?: WipedStore,
): StoreFit {
  if (wiped !== undefined) return misfit(wiped.reason, wiped.text)
  const fresh: StoreFit = { fits: true, position: changelog.earliestOffset }
  if (header === undefined) return fresh
  return (
    identityMisfit(header, changelog) ??
    (header.changelogs.length === 0 ? fresh : positionFit(header, changelog))
  )
}

function identityMisfit(header: StoreHeader, changelog: ChangelogFacts): StoreFit | undefined {
  if (header.format > STORE_FORMAT) {
    return misfit('newer-format', `format ${header.format}, this version knows ${STORE_FORMAT}`)
  }
  if (header.applicationId !== changelog.applicationId) {
    return misfit('foreign', differs('application', header, changelog, 'applicationId'))
  }
  if (header.storeName !== changelog.storeName) {
    return misfit('foreign', differs('store', header, changelog, 'storeName'))
  }
  if (header.taskId !== changelog.taskId) {
    return misfit('swapped', differs('task', header, changelog, 'taskId'))
  }
  if (header.logId !== changelog.logId) {
    return misfit('other-log', differs('log', header, changelog, 'logId'))
  }
  return undefined
}

function positionFit(header: StoreHeader, changelog: ChangelogFacts): StoreFit {
  const { topic, partition, highWatermark, endOffsetOfEpoch } = changelog
  const entry = header.changelogs.find((one) => one.topic === topic && one.partition === partition)
  if (entry === undefined) {
    const held = header.changelogs.map((one) => `${one.topic}-${one.partition}`).join(', ')
    return misfit('swapped', `it follows ${held}, not ${topic}-${partition}`)
  }
  if (entry.topicId !== changelog.topicId) {
    const ids = `the store knows ${entry.topicId}, the log has ${changelog.topicId}`
    return misfit('recreated-changelog', `${topic} was deleted and created again: ${ids}`)
  }
  const { position, leaderEpoch } = entry
  if (endOffsetOfEpoch === undefined) {
    return misfit('ahead-of-changelog', `the log never had its leader epoch ${leaderEpoch}`)
  }
  if (position > endOffsetOfEpoch || position > highWatermark) {
    const end = Math.min(endOffsetOfEpoch, highWatermark)
    return misfit('ahead-of-changelog', `at ${position}, epoch ${leaderEpoch} ends at ${end}`)
  }
  // Nothing was written since, so nothing can have been deleted since.
  if (position === highWatermark) return { fits: true, position }
  return staleness(header, changelog, position) ?? { fits: true, position }
}

function staleness(
  header: StoreHeader,
  changelog: ChangelogFacts,
  position: number,
): StoreFit | undefined {
  const { earliestOffset, tombstonesRemovedBelow, deleteRetentionMs, nowMs } = changelog
  if (position < earliestOffset) {
    return misfit('too-old', `at ${position}, the changelog starts at ${earliestOffset}`)
  }
  if (tombstonesRemovedBelow !== undefined) {
    if (position >= tombstonesRemovedBelow) return undefined
    return misfit('too-old', `at ${position}, tombstones are gone below ${tombstonesRemovedBelow}`)
  }
  // Half, because the clocks of two machines are compared; either way, because neither of them is right.
  const ageMs = Math.abs(nowMs - header.appliedAtMs)
  if (ageMs <= deleteRetentionMs / 2) return undefined
  return misfit('too-old', `last applied ${ageMs} ms ago, tombstones stay ${deleteRetentionMs} ms`)
}

function misfit(reason: StoreMisfit, text: string): StoreFit {
  return { fits: false, reason, text }
}

function differs(
  what: string,
  header: StoreHeader,
  changelog: ChangelogFacts,
  field: 'logId' | 'applicationId' | 'storeName' | 'taskId',
): string {
  return `it belongs to ${what} ${header[field]}, not ${changelog[field]}`
}
