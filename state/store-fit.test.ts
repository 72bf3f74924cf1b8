/** R6, R7, R8: which stores may be built upon, and the name of the reason for those that may not. */
import { describe, expect, test } from 'bun:test'
import { storeFit, type ChangelogFacts, type StoreMisfit } from './store-fit.ts'
import type { ChangelogPosition, StoreHeader } from './store.ts'

const DAY_MS = 86_400_000
const NOW_MS = 1_700_000_000_000

const position: ChangelogPosition = {
  topic: 'app-counts-changelog',
  topicId: 'T1',
  partition: 1,
  leaderEpoch: 4,
  position: 100,
}
const header: StoreHeader = {
  format: 1,
  logId: 'L1',
  applicationId: 'app',
  storeName: 'counts',
  taskId: '0_1',
  changelogs: [position],
  appliedInputs: { 'orders-1': 70 },
  appliedAtMs: NOW_MS - DAY_MS,
}
const changelog: ChangelogFacts = {
  logId: 'L1',
  applicationId: 'app',
  storeName: 'counts',
  taskId: '0_1',
  topic: 'app-counts-changelog',
  topicId: 'T1',
  partition: 1,
  earliestOffset: 3,
  highWatermark: 120,
  endOffsetOfEpoch: 110,
  tombstonesRemovedBelow: undefined,
  deleteRetentionMs: 7 * DAY_MS,
  nowMs: NOW_MS,
}

describe('a store fits', () => {
  const fits: [string, StoreHeader | undefined, Partial<ChangelogFacts>, number][] = [
    ['at its own position', header, {}, 100],
    ['at the end of its epoch', header, { endOffsetOfEpoch: 100 }, 100],
    [
      'exactly half of the retention after its last apply',
      { ...header, appliedAtMs: NOW_MS - 3.5 * DAY_MS },
      {},
      100,
    ],
    [
      'however old, if nothing was written since',
      { ...header, appliedAtMs: 0 },
      { highWatermark: 100 },
      100,
    ],
    [
      'however old, if no tombstone above it was removed (R7)',
      { ...header, appliedAtMs: 0 },
      { tombstonesRemovedBelow: 100 },
      100,
    ],
    ['from the earliest offset if it never was applied to', undefined, {}, 3],
    ['from the earliest offset if no changelog was applied', { ...header, changelogs: [] }, {}, 3],
    [
      'by the entry of the partition that is asked for',
      { ...header, changelogs: [{ ...position, partition: 0, position: 9 }, position] },
      {},
      100,
    ],
  ]
  test.each(fits)('%s', (_title, given, facts, at) => {
    expect(storeFit(given, { ...changelog, ...facts })).toEqual({ fits: true, position: at })
  })
})

describe('a store does not fit', () => {
  const old = { ...header, appliedAtMs: NOW_MS - 3.5 * DAY_MS - 1 }
  const misfits: [string, StoreMisfit, StoreHeader, Partial<ChangelogFacts>][] = [
    ['of another application', 'foreign', header, { applicationId: 'other' }],
    ['of another store', 'foreign', header, { storeName: 'other' }],
    ['of another task (F22)', 'swapped', header, { taskId: '0_2' }],
    ['of another partition (F22)', 'swapped', header, { partition: 2 }],
    ['of a newer format', 'newer-format', { ...header, format: 2 }, {}],
    ['from another log (T7)', 'other-log', header, { logId: 'L2' }],
    [
      'of a changelog that was recreated, though its end is high enough (T6)',
      'recreated-changelog',
      header,
      { topicId: 'T2' },
    ],
    [
      'beyond the end of its epoch, though the log has grown past it (T7)',
      'ahead-of-changelog',
      header,
      { endOffsetOfEpoch: 99 },
    ],
    ['beyond the high watermark', 'ahead-of-changelog', header, { highWatermark: 99 }],
    [
      'of an epoch the log never had',
      'ahead-of-changelog',
      header,
      { endOffsetOfEpoch: undefined },
    ],
    ['older than half of the retention of tombstones (R7)', 'too-old', old, {}],
    [
      'from a clock that was ahead by more than that',
      'too-old',
      { ...header, appliedAtMs: NOW_MS + 4 * DAY_MS },
      {},
    ],
    [
      'below the offset where tombstones were removed (R7)',
      'too-old',
      header,
      { tombstonesRemovedBelow: 101 },
    ],
    ['below the start of the changelog', 'too-old', header, { earliestOffset: 101 }],
  ]
  test.each(misfits)('%s', (_title, reason, given, facts) => {
    const fit = storeFit(given, { ...changelog, ...facts })
    expect(fit).toEqual({ fits: false, reason, text: expect.stringMatching(/\S/) })
  })

  test.each(['unclean-reboot', 'damaged'] as const)('that its backend found %s (R8)', (reason) => {
    const fit = storeFit(undefined, changelog, { reason, text: 'as found' })
    expect(fit).toEqual({ fits: false, reason, text: 'as found' })
  })
})
