import { describe, expect, test } from 'bun:test'
import { changelogRestorer } from './changelog-restorer.ts'
import type { RestoreSpec } from './restorer.ts'
import { DedupeBuffer } from './dedupe-store.ts'
import type { OrderedStore, StateStore } from './store.ts'
import type { ChangelogRecord, SealedWrites } from './task-store.ts'
import {
  applyRestored,
  commit,
  openMemory,
  restore,
  restored,
  rowsOf,
} from './test-helpers/task-stores.ts'

const WITHIN_MS = 1000
const SPEC: RestoreSpec = { name: 'seen', kind: 'dedupe', withinMs: WITHIN_MS, expiry: 'logged' }

function open(store: StateStore, logExpiry: boolean = true): DedupeBuffer {
  return new DedupeBuffer({ name: 'seen', store, withinMs: WITHIN_MS, logExpiry })
}

async function reopen(store: OrderedStore): Promise<DedupeBuffer> {
  const again = open(store)
  await again.load()
  return again
}

describe('what expires leaves the changelog too', () => {
  const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
  const tombstonesOf = ({ changelog }: SealedWrites): readonly string[] =>
    changelog.flatMap(({ key, value }) => (value === null ? [textOf(key)] : []))

  /** The newest record of each key, as compaction leaves them. */
  function compacted(changelog: readonly ChangelogRecord[]): readonly ChangelogRecord[] {
    const newest = new Map<string, ChangelogRecord>()
    for (const record of changelog) {
      const key = textOf(record.key)
      newest.delete(key)
      newest.set(key, record)
    }
    return [...newest.values()]
  }

  test('the purge of a segment writes a tombstone for each of its ids, in the same commit', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.isRepeat('a', 0)
    store.isRepeat('b', 249)
    store.isRepeat('c', 250)
    await commit(store, backend)
    store.isRepeat('d', 1249)
    expect(tombstonesOf(await commit(store, backend))).toEqual([])
    store.isRepeat('e', 1250)
    expect(tombstonesOf(await commit(store, backend))).toEqual(['a', 'b'])
  })

  test('an id that was accepted again keeps its record, whenever its old segment goes', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.isRepeat('again', 0)
    store.isRepeat('gone', 0)
    const first = await commit(store, backend)
    // 1,100 is beyond 0 + 1,000, and the segment 0–250 is not over yet.
    expect(store.isRepeat('again', 1100)).toBe(false)
    const second = await commit(store, backend)
    store.isRepeat('later', 1300)
    const third = await commit(store, backend)
    expect(tombstonesOf(third)).toEqual(['gone'])
    const rebuilt = await openMemory()
    const changelog = [first, second, third].flatMap((sealed) => sealed.changelog)
    await restore(SPEC, rebuilt, compacted(changelog))
    expect((await reopen(rebuilt)).isRepeat('again', 2100)).toBe(true)
  })

  test('a large segment goes in slices over several commits, through a crash in between', async () => {
    const backend = await openMemory()
    let store = open(backend)
    const ids = Array.from({ length: 6_000 }, (_, index) => `id-${index}`)
    for (const id of ids) store.isRepeat(id, 1)
    await commit(store, backend)
    const gone: string[] = []
    const slices: number[] = []
    for (let index = 0; index < 6; index++) {
      store.isRepeat(`later-${index}`, 2_000 + index)
      const tombstones = tombstonesOf(await commit(store, backend))
      expect(store.ids).toBe(index + 1)
      slices.push(tombstones.length)
      gone.push(...tombstones)
      if (index % 2 === 1) store = await reopen(backend)
    }
    // Whole blobs of 512.
    expect(slices).toEqual([2_048, 2_048, 6_000 - 4_096, 0, 0, 0])
    expect(gone).toEqual(ids)
    const starts = [...(await rowsOf(backend)).keys()].map((key) => key.slice(0, 16))
    expect(new Set(starts).size).toBe(1)
  })

  test('what expires goes at least as fast as new ids come', async () => {
    const backend = await openMemory()
    const store = open(backend)
    let rowsMost = 0
    for (let segment = 0; segment < 20; segment++) {
      for (let index = 0; index < 5_000; index++) {
        store.isRepeat(`id-${segment}-${index}`, segment * 250)
      }
      await commit(store, backend)
      rowsMost = Math.max(rowsMost, backend.size().rows)
    }
    // Ten blobs and a note a segment; five segments can make repeats, one leaves.
    expect(rowsMost).toBeLessThanOrEqual(6 * 11)
  })

  test('the compacted changelog holds what the store holds, however long it has run', async () => {
    const backend = await openMemory()
    const store = open(backend)
    let changelog: readonly ChangelogRecord[] = []
    for (let index = 0; index < 2_000; index++) {
      store.isRepeat(`id-${index}`, index * 10)
      if (index % 10 < 9) continue
      changelog = compacted([...changelog, ...(await commit(store, backend)).changelog])
    }
    const kept = changelog.filter(({ value }) => value !== null).map(({ key }) => textOf(key))
    expect(kept).toHaveLength(store.ids)
    // A hundred ids in 1,000 ms, and the segment that is not over.
    expect(store.ids).toBeLessThanOrEqual(125)
    const rebuilt = await openMemory()
    await restore(SPEC, rebuilt, changelog)
    const again = await reopen(rebuilt)
    expect(again.ids).toBe(store.ids)
    // With the next purge nothing is left to say that has been said before.
    again.isRepeat('next', 20_240)
    const { changelog: next } = await commit(again, rebuilt)
    expect(next.filter(({ value, key }) => value === null && !kept.includes(textOf(key)))).toEqual(
      [],
    )
  })

  test('a rebuilt store ends a purge that was cut short', async () => {
    const backend = await openMemory()
    const store = open(backend)
    const ids = Array.from({ length: 3_000 }, (_, index) => `id-${index}`)
    for (const id of ids) store.isRepeat(id, 1)
    const first = await commit(store, backend)
    store.isRepeat('later', 2_000)
    const second = await commit(store, backend)
    expect(tombstonesOf(second)).toHaveLength(2_048)
    const rebuilt = await openMemory()
    const changelog = compacted([...first.changelog, ...second.changelog])
    await restore(SPEC, rebuilt, changelog)
    const again = await reopen(rebuilt)
    expect(again.ids).toBe(1)
    again.isRepeat('more', 2_001)
    const third = await commit(again, rebuilt)
    const all = compacted([...changelog, ...third.changelog])
    const left = all.filter(({ value }) => value !== null).map(({ key }) => textOf(key))
    expect(left).toEqual(['later', 'more'])
  })
})

describe('loading', () => {
  test('a large store lets others run every few thousand ids', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (let index = 0; index < 40_000; index++) store.isRepeat(`id-${index}`, 1)
    await commit(store, backend)
    let turns = 0
    const again = open(backend)
    await again.load(async () => {
      turns += 1
    })
    expect(again.ids).toBe(40_000)
    expect(turns).toBeGreaterThanOrEqual(4)
  })
})

describe('restores', () => {
  test('where the changelog never says so, restoring skips and drops what could no longer make a repeat', async () => {
    const backend = await openMemory()
    const store = open(backend, false)
    const byTime: RestoreSpec = { ...SPEC, expiry: 'by-time' }
    store.isRepeat('old', 0)
    const first = await commit(store, backend)
    store.isRepeat('new', 1300)
    const second = await commit(store, backend)
    expect(second.changelog).toHaveLength(1)
    for (const records of [
      [...second.changelog, ...first.changelog],
      [...first.changelog, ...second.changelog],
    ]) {
      const rebuilt = await openMemory()
      await restore(byTime, rebuilt, records, 1)
      expect((await reopen(rebuilt)).ids).toBe(1)
      expect(rebuilt.size().rows).toBe(2)
    }
  })

  test('a restore without end drops the segments that are over, its own and those from before, and only those', async () => {
    for (const expiry of ['logged', 'by-time'] as const) {
      const spec: RestoreSpec = { ...SPEC, expiry }
      const backend = await openMemory()
      const store = open(backend, expiry === 'logged')
      const rebuilt = await openMemory()
      // Two followers, one after the other.
      let follower = changelogRestorer(spec, rebuilt)
      let rowsMax = 0
      const commits = 200
      for (let index = 0; index < commits; index++) {
        store.isRepeat(`id-${index}`, index * 100)
        const { changelog } = await commit(store, backend)
        if (index === commits / 2) follower = changelogRestorer(spec, rebuilt)
        for (const { key, value, timestampMs = 0 } of changelog) {
          follower.add(restored(key, value, timestampMs))
        }
        await applyRestored(follower, rebuilt)
        rowsMax = Math.max(rowsMax, rebuilt.size().rows)
      }
      // Live: ten ids, a blob each, and the notes of their segments; then one segment that is on its way.
      expect(rowsMax).toBeLessThan(25)
      const again = await reopen(rebuilt)
      const nowMs = (commits - 1) * 100
      for (let index = 0; index < commits; index++) {
        const isRepeat = nowMs - index * 100 <= WITHIN_MS
        expect(again.isRepeat(`id-${index}`, nowMs)).toBe(isRepeat)
      }
    }
  })
})
