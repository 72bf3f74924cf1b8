import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { RestoreSpec } from './restorer.ts'
import type { Fingerprint } from './dedupe-segment.ts'
import { DedupeBuffer } from './dedupe-store.ts'
import type { OrderedStore, StateStore } from './store.ts'
import { liveAlike, type Modelled } from './test-helpers/lifecycle.ts'
import {
  commit,
  HEADER,
  openMemory,
  readable,
  restore,
  rowsOf,
} from './test-helpers/task-stores.ts'

const WITHIN_MS = 1000
const SPEC: RestoreSpec = { name: 'seen', kind: 'dedupe', withinMs: WITHIN_MS, expiry: 'logged' }
/** Every id looks like every other. */
const ALL_ALIKE: Fingerprint = { low: () => 7, high: () => 0x9000_0000 }

function open(store: StateStore, fingerprint?: Fingerprint): DedupeBuffer {
  const options = { name: 'seen', store, withinMs: WITHIN_MS }
  return new DedupeBuffer(fingerprint === undefined ? options : { ...options, fingerprint })
}

async function reopen(store: OrderedStore, fingerprint?: Fingerprint): Promise<DedupeBuffer> {
  const again = open(store, fingerprint)
  await again.load()
  return again
}

describe('R14: repeat iff stream time − acceptance ≤ withinMs', () => {
  test('to the millisecond, in every layer', async () => {
    const backend = await openMemory()
    const store = open(backend)
    expect(store.isRepeat('a', 5000)).toBe(false)
    expect(store.isRepeat('a', 5000)).toBe(true)
    expect(store.isRepeat('a', 6000)).toBe(true)
    await commit(store, backend)
    expect(store.isRepeat('a', 6000)).toBe(true)
    expect((await reopen(backend)).isRepeat('a', 6000)).toBe(true)
    expect((await reopen(backend)).isRepeat('a', 6001)).toBe(false)
    expect(store.isRepeat('a', 6001)).toBe(false)
    expect(store.isRepeat('a', 7001)).toBe(true)
    expect(store.isRepeat('a', 7002)).toBe(false)
  })

  test('a repeat does not prolong', async () => {
    const store = open(await openMemory())
    store.isRepeat('a', 0)
    expect(store.isRepeat('a', 1000)).toBe(true)
    expect(store.isRepeat('a', 1001)).toBe(false)
  })

  test('the verdict does not depend on when was committed, purged or restarted', async () => {
    const backend = await openMemory()
    let store = open(backend)
    const never = open(await openMemory())
    for (let index = 0; index < 3000; index++) {
      const timeMs = index * 3
      const id = `id-${(index * 7) % 700}`
      expect(store.isRepeat(id, timeMs)).toBe(never.isRepeat(id, timeMs))
      if (index % 100 === 99) await commit(store, backend)
      if (index % 500 === 499) store = await reopen(backend)
    }
    expect(store.ids).toBeLessThan(never.ids)
  })

  test('withinMs 0 drops repeats of the same millisecond only', async () => {
    const store = new DedupeBuffer({ name: 'seen', store: await openMemory(), withinMs: 0 })
    const verdicts = [5, 5, 6, 6].map((timeMs) => store.isRepeat('a', timeMs))
    expect(verdicts).toEqual([false, true, false, true])
  })

  test('a kept time of years fits', async () => {
    const backend = await openMemory()
    const withinMs = 10 * 365 * 86_400_000
    const store = new DedupeBuffer({ name: 'seen', store: backend, withinMs })
    store.isRepeat('a', 1_700_000_000_000)
    await commit(store, backend)
    expect(store.isRepeat('a', 1_700_000_000_000 + withinMs)).toBe(true)
    expect(store.isRepeat('a', 1_700_000_000_001 + withinMs)).toBe(false)
  })
})

describe('a match is a suspicion, not a verdict', () => {
  test('other ids with the same 64 bits are accepted, in the open layer, the committing one and the backend', async () => {
    const backend = await openMemory()
    const store = open(backend, ALL_ALIKE)
    for (const id of ['a', 'b', '', 'ab']) expect(store.isRepeat(id, 1)).toBe(false)
    const { changes } = store.seal()
    expect(store.isRepeat('c', 1)).toBe(false)
    for (const id of ['a', 'b', '', 'ab', 'c']) expect(store.isRepeat(id, 2)).toBe(true)
    await backend.apply(changes, HEADER)
    store.release()
    expect(store.isRepeat('d', 2)).toBe(false)
    for (const id of ['a', 'b', '', 'ab', 'c', 'd']) expect(store.isRepeat(id, 2)).toBe(true)
    await commit(store, backend)
    const again = await reopen(backend, ALL_ALIKE)
    expect(again.isRepeat('e', 3)).toBe(false)
    for (const id of ['a', 'b', '', 'ab', 'c', 'd']) expect(again.isRepeat(id, 3)).toBe(true)
  })

  test('an expired match does not hide a newer one, nor the other way round', async () => {
    const backend = await openMemory()
    const store = open(backend, ALL_ALIKE)
    store.isRepeat('a', 0)
    store.isRepeat('b', 900)
    expect(store.isRepeat('a', 1001)).toBe(false)
    expect(store.isRepeat('a', 2001)).toBe(true)
    expect(store.isRepeat('b', 1900)).toBe(true)
    expect(store.isRepeat('b', 1901)).toBe(false)
  })

  test('ids are compared as their bytes: a lone surrogate is its replacement, before and after a restart', async () => {
    const backend = await openMemory()
    const store = open(backend)
    expect(store.isRepeat('x\ud800', 1)).toBe(false)
    expect(store.isRepeat('x\ufffd', 1)).toBe(true)
    await commit(store, backend)
    expect((await reopen(backend)).isRepeat('x\ud800', 1)).toBe(true)
  })
})

describe('rows and records', () => {
  test('one record an id: its bytes, and the time of acceptance', async () => {
    const store = open(await openMemory())
    store.isRepeat('a', 5)
    store.isRepeat('é', 300)
    store.isRepeat('a', 301)
    const time = (timeMs: number): string => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(timeMs))
      return bytes.toString('latin1')
    }
    expect(store.seal().changelog.map(readable)).toEqual([
      ['a', time(5), 5],
      [Buffer.from('é').toString('latin1'), time(300), 300],
    ])
  })

  test('blobs by commit and segment, dropped with its segment and not before', async () => {
    const backend = await openMemory()
    const store = open(backend)
    // Segments are a quarter of withinMs.
    for (const timeMs of [0, 100, 249]) {
      store.isRepeat(`at ${timeMs}`, timeMs)
      await commit(store, backend)
    }
    // Three blobs and the segment's note.
    expect(backend.size().rows).toBe(4)
    store.isRepeat('later', 1249)
    await commit(store, backend)
    expect(backend.size().rows).toBe(6)
    store.isRepeat('at the end', 1250)
    await commit(store, backend)
    expect(backend.size().rows).toBe(4)
    expect(store.ids).toBe(2)
    const again = await reopen(backend)
    expect(again.ids).toBe(2)
  })

  test('ids that expire within their own commit leave nothing', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.isRepeat('a', 0)
    store.isRepeat('b', 5000)
    const { changelog } = await commit(store, backend)
    expect(changelog).toHaveLength(1)
    expect(store.ids).toBe(1)
    expect(store.isRepeat('a', 5000)).toBe(false)
  })

  test('a longer withinMs goes on with the segments of a shorter one', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (const timeMs of [0, 250]) store.isRepeat(`at ${timeMs}`, timeMs)
    await commit(store, backend)
    const withinMs = 4000
    const longer = new DedupeBuffer({ name: 'seen', store: backend, withinMs })
    await longer.load()
    // 0–250 becomes 0–1,000 and reaches over 250–500.
    expect(longer.isRepeat('at 600', 600)).toBe(false)
    await commit(longer, backend)
    const again = new DedupeBuffer({ name: 'seen', store: backend, withinMs })
    await again.load()
    for (const each of [longer, again]) {
      for (const id of ['at 0', 'at 250', 'at 600']) expect(each.isRepeat(id, 4000)).toBe(true)
      expect(each.isRepeat('at 600', 4600)).toBe(true)
      expect(each.isRepeat('at 600', 4601)).toBe(false)
    }
  })

  test('a changelog restored in batches numbers its blobs on', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (let index = 0; index < 100; index++) store.isRepeat(`id-${index}`, index)
    const { changelog } = await commit(store, backend)
    const rebuilt = await openMemory()
    await restore(SPEC, rebuilt, changelog.slice(0, 60), 7)
    await restore(SPEC, rebuilt, changelog.slice(60), 9)
    const again = await reopen(rebuilt)
    expect(again.ids).toBe(100)
    for (let index = 0; index < 100; index++) expect(again.isRepeat(`id-${index}`, 500)).toBe(true)
    // The same ids lie in fewer blobs: what is restored goes on numbering where the note says.
    expect((await rowsOf(rebuilt)).size).toBe(1 + 9 + 5)
  })

  test('a large commit lies in several blobs, live and restored', async () => {
    const backend = await openMemory()
    const store = open(backend)
    const ids = Array.from({ length: 1300 }, (_, index) => `id-${index}`)
    for (const id of ids) store.isRepeat(id, 1)
    const { changelog } = await commit(store, backend)
    expect(changelog).toHaveLength(1300)
    // Three blobs of at most 512 ids, and the note.
    expect(backend.size().rows).toBe(4)
    const rebuilt = await openMemory()
    await restore(SPEC, rebuilt, changelog, 2000)
    expect(await rowsOf(rebuilt)).toEqual(await rowsOf(backend))
    for (const each of [store, await reopen(backend), await reopen(rebuilt)]) {
      expect(ids.filter((id) => !each.isRepeat(id, 2))).toEqual([])
      expect(each.isRepeat('id-1300', 2)).toBe(false)
    }
  })

  test('logged: false keeps the blobs and writes no changelog', async () => {
    const backend = await openMemory()
    const store = new DedupeBuffer({ name: 'seen', store: backend, withinMs: 10, logged: false })
    store.isRepeat('a', 1)
    expect((await commit(store, backend)).changelog).toEqual([])
    expect((await reopen(backend)).isRepeat('a', 2)).toBe(true)
  })
})

describe('savepoint and rollback (R15)', () => {
  test('an id accepted by a record that throws is new to the next one, collisions or not', async () => {
    for (const fingerprint of [undefined, ALL_ALIKE]) {
      const backend = await openMemory()
      const store = open(backend, fingerprint)
      for (let index = 0; index < 200; index++) {
        store.savepoint()
        expect(store.isRepeat(`id-${index}`, index)).toBe(false)
        expect(store.isRepeat(`more-${index}`, index)).toBe(false)
        store.rollback()
        store.savepoint()
        expect(store.isRepeat(`id-${index}`, index)).toBe(false)
      }
      expect(store.ids).toBe(200)
      expect((await commit(store, backend)).changelog).toHaveLength(200)
      expect(store.isRepeat('more-3', 200)).toBe(false)
    }
  })

  test('a stream time that was rolled back purges nothing', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.isRepeat('a', 0)
    store.savepoint()
    store.isRepeat('b', 100_000)
    store.rollback()
    await commit(store, backend)
    expect(store.isRepeat('a', 500)).toBe(true)
  })
})

interface Model {
  readonly acceptedAt: Map<string, number>
  timeMs: number
}
interface Op {
  readonly id: string
  readonly afterMs: number
}

function modelled(fingerprint: Fingerprint | undefined): Modelled<DedupeBuffer, Model, Op> {
  const ids = Array.from({ length: 12 }, (_, index) => `id-${index}`)
  return {
    spec: SPEC,
    op: fc.record({
      id: fc.constantFrom(...ids, '', 'é', '😀'),
      afterMs: fc.oneof(fc.nat(100), fc.constantFrom(0, 1, 249, 250, 999, 1000, 1001)),
    }),
    open: (store) => open(store, fingerprint),
    empty: () => ({ acceptedAt: new Map(), timeMs: 0 }),
    copy: ({ acceptedAt, timeMs }) => ({ acceptedAt: new Map(acceptedAt), timeMs }),
    do({ id, afterMs }, store, model) {
      model.timeMs += afterMs
      const acceptedAt = model.acceptedAt.get(id)
      const isRepeat = acceptedAt !== undefined && model.timeMs - acceptedAt <= WITHIN_MS
      expect(store.isRepeat(id, model.timeMs)).toBe(isRepeat)
      if (!isRepeat) model.acceptedAt.set(id, model.timeMs)
    },
    compare(store, model) {
      const live = [...model.acceptedAt.values()].filter((at) => model.timeMs - at <= WITHIN_MS)
      expect(store.ids).toBeGreaterThanOrEqual(live.length)
    },
  }
}

test('a dedupe store lives like a Map of ids', async () => {
  await liveAlike(modelled(undefined), 300)
}, 180_000)

test('so it does where every fingerprint collides', async () => {
  await liveAlike(modelled(ALL_ALIKE), 300)
}, 180_000)
