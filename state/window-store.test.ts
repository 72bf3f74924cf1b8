import { describe, expect, test } from 'bun:test'
import { parseWindowStoreKey, windowStoreKey } from './row-format.ts'
import type { StateStore } from './store.ts'
import {
  commit,
  golden,
  HEADER,
  openMemory,
  readable,
  restore,
  rowsOf,
  text,
} from './test-helpers/task-stores.ts'
import { WindowWriteBuffer, type WindowWriteBufferOptions } from './window-store.ts'

const ALWAYS = Number.MAX_SAFE_INTEGER

type Options = Partial<WindowWriteBufferOptions<string, string>>

function make(backend: StateStore, options: Options = {}): WindowWriteBuffer<string, string> {
  return new WindowWriteBuffer({
    name: 'store',
    store: backend,
    key: text,
    value: text,
    sizeMs: 10,
    retentionMs: 100,
    onClose: false,
    logged: true,
    logEvery: false,
    ...options,
  })
}

/** No window is held open, so that retention alone decides. */
function open(backend: StateStore, options: Options = {}): WindowWriteBuffer<string, string> {
  const store = make(backend, options)
  store.holdFrom(ALWAYS)
  return store
}

test('row keys are Kafka Streams’ bytes, both ways', async () => {
  type Vector = {
    readonly key: string
    readonly start: number
    readonly seq: number
    readonly hex: string
  }
  const { store: vectors } = await golden<{ store: readonly Vector[] }>('window-keys')
  expect(vectors.length).toBeGreaterThan(100)
  for (const { key, start, seq, hex } of vectors) {
    expect(windowStoreKey(Buffer.from(key), start, seq).toHex()).toBe(hex)
    const parsed = parseWindowStoreKey(Uint8Array.fromHex(hex))
    expect(parsed?.startMs).toBe(start)
    expect(parsed?.sequence).toBe(seq)
    expect(Buffer.from(parsed?.key ?? []).toString()).toBe(key)
  }
})

test('a put becomes key ‖ start ‖ 0 → ts ‖ value, and a record with the value alone', async () => {
  const backend = await openMemory()
  const store = open(backend)
  expect(store.put('k', 20, 'v', 25)).toBe(true)
  const { changelog } = await commit(store, backend)
  const key = '6b000000000000001400000000'
  expect((await rowsOf(backend)).get(key)).toBe('000000000000001976')
  expect(changelog.map(readable)).toEqual([[Buffer.from(key, 'hex').toString('latin1'), 'v', 25]])
})

describe('retention', () => {
  test('S1: reads hide a window that starts before observed − retention + 1', async () => {
    const store = open(await openMemory())
    store.put('k', 100, 'v', 100)
    store.put('k', 199, 'w', 199)
    expect(store.getTimed('k', 100)).toEqual({ value: 'v', timestampMs: 100 })
    store.put('k', 200, 'x', 200)
    expect(store.getTimed('k', 100)).toBeUndefined()
    expect([...store.fetch('k', 0, ALWAYS)].map(({ value }) => value)).toEqual(['w', 'x'])
    expect([...store.windows(0, ALWAYS)].map(({ value }) => value)).toEqual(['w', 'x'])
  })

  test('S3: a put is refused only when its whole segment of at least a minute has expired', async () => {
    const store = open(await openMemory())
    store.put('k', 120_099, 'new', 1)
    // 120,099 − 100 lies in the segment that starts at 60,000.
    expect(store.put('k', 60_000, 'hidden but taken', 1)).toBe(true)
    expect(store.getTimed('k', 60_000)).toBeUndefined()
    expect(store.put('k', 59_999, 'refused', 1)).toBe(false)
    store.put('k', 120_100, 'newer', 1)
    expect(store.put('k', 119_999, 'refused', 1)).toBe(false)
    expect(store.observedTimeMs).toBe(120_100)
  })

  test('segments are half the retention where that is longer than a minute', async () => {
    const store = open(await openMemory(), { retentionMs: 400_000 })
    store.put('k', 799_999, 'new', 1)
    expect(store.put('k', 200_000, 'taken', 1)).toBe(true)
    expect(store.put('k', 199_999, 'refused', 1)).toBe(false)
  })

  test('rows of expired segments leave backend and changelog with the next commit', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (const key of ['a', 'b']) store.put(key, 0, 'v', 0)
    await commit(store, backend)
    const filled = store.memoryBytes
    store.put('a', 300_000, 'w', 300_000)
    const { changelog } = await commit(store, backend)
    const rows = [...(await rowsOf(backend)).keys()].filter((key) => key.length > 2)
    expect(rows).toEqual([windowStoreKey(Buffer.from('a'), 300_000).toHex()])
    expect(changelog.filter(({ value }) => value === null).map(({ key }) => key.toHex())).toEqual(
      ['a', 'b'].map((key) => windowStoreKey(Buffer.from(key), 0).toHex()),
    )
    expect(store.memoryBytes).toBeLessThan(filled)
  })

  test('where the topic deletes by age the rows leave the backend, without tombstones', async () => {
    for (const silent of [{ logExpiry: false }, { logged: false }]) {
      const backend = await openMemory()
      const store = open(backend, silent)
      store.put('a', 0, 'v', 0)
      await commit(store, backend)
      store.put('a', 300_000, 'w', 300_000)
      const { changelog } = await commit(store, backend)
      expect(changelog.filter(({ value }) => value === null)).toEqual([])
      expect([...store.windows(0, ALWAYS)]).toHaveLength(1)
      expect((await rowsOf(backend)).size).toBe(2)
    }
  })

  test('a segment of many keys leaves over several commits, the same rows from backend and changelog', async () => {
    const backend = await openMemory()
    let store = open(backend)
    const keys = 10_000
    for (let index = 0; index < keys; index++) store.put(`k${index}`, 0, 'v', 0)
    const { changelog } = await commit(store, backend)
    const rebuilt = await openMemory()
    const spec = { name: 'store', kind: 'window', retentionMs: 100, expiry: 'logged' } as const
    await restore(spec, rebuilt, changelog, 1_000)
    const bursts: number[] = []
    for (let time = 300_000; time < 300_005; time++) {
      store.put('new', time, 'w', time)
      const sealed = await commit(store, backend)
      bursts.push(sealed.changelog.filter(({ value }) => value === null).length)
      expect([...store.windows(0, ALWAYS)].every(({ key }) => key === 'new')).toBe(true)
      await restore(spec, rebuilt, sealed.changelog)
      expect(await rowsOf(rebuilt)).toEqual(await rowsOf(backend))
      // What a crash leaves in between goes on from there.
      store = open(backend)
      await store.load()
    }
    expect(bursts).toEqual([4_096, 4_096, keys - 2 * 4_096, 0, 0])
  })

  test('what expires goes at least as fast as new keys come', async () => {
    const backend = await openMemory()
    const store = open(backend)
    let rowsMost = 0
    for (let minute = 0; minute < 12; minute++) {
      for (let index = 0; index < 9_000; index++) store.put(`k${index}`, minute * 60_000, 'v', 0)
      await commit(store, backend)
      rowsMost = Math.max(rowsMost, backend.size().rows)
    }
    expect(rowsMost).toBeLessThan(3 * 9_000 + 10)
  })

  test('windows put and expired within one commit are logged and gone', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('a', 0, 'v', 0)
    store.put('a', 300_000, 'w', 300_000)
    const { changelog } = await commit(store, backend)
    expect(changelog.map(({ value }) => value !== null)).toEqual([true, true, false])
    expect([...store.windows(0, ALWAYS)]).toHaveLength(1)
    const again = open(backend)
    await again.load()
    expect([...again.windows(0, ALWAYS)]).toHaveLength(1)
  })

  test('windows that are held open are shown, taken and kept however far time has run ahead', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.holdFrom(0)
    store.put('k', 0, 'v', 0)
    store.put('k', 900_000, 'far', 900_000)
    await commit(store, backend)
    expect(store.getTimed('k', 0)?.value).toBe('v')
    expect(store.put('k', 10, 'late but open', 10)).toBe(true)
    store.savepoint()
    store.holdFrom(20)
    expect(store.getTimed('k', 0)).toBeUndefined()
    store.rollback()
    expect(store.getTimed('k', 0)?.value).toBe('v')
    store.holdFrom(20)
    expect(store.put('k', 10, 'refused', 10)).toBe(false)
    await commit(store, backend)
    expect([...store.windows(0, ALWAYS)].map(({ value }) => value)).toEqual(['far'])
  })

  test('until the operator speaks every window is open', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('k', 0, 'v', 0)
    await commit(store, backend)
    const again = make(backend)
    await again.load()
    again.put('k', 900_000, 'far', 900_000)
    expect(again.getTimed('k', 0)?.value).toBe('v')
  })

  test('observed time survives a restart when its window is deleted again, and a rollback undoes it', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('k', 500, 'v', 500)
    await commit(store, backend)
    store.put('k', 500, null, 500)
    store.savepoint()
    store.put('k', 700, 'undone', 700)
    store.rollback()
    expect(store.observedTimeMs).toBe(500)
    await commit(store, backend)
    const again = open(backend)
    await again.load()
    expect(again.observedTimeMs).toBe(500)
    expect(again.getTimed('k', 500)).toBeUndefined()
  })
})

describe('windows and fetch', () => {
  test('come by start, then key bytes, from every layer', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (const key of ['é', 'b', '😀', '\uffff']) store.put(key, 10, `${key}1`, 1)
    await commit(store, backend)
    store.put('c', 20, 'c2', 2)
    store.put('a', 10, 'a2', 2)
    store.seal()
    store.put('b', 10, 'b3', 3)
    store.put('é', 10, null, 3)
    const found = [...store.windows(10, 20)]
    expect(found.map(({ key }) => key)).toEqual(['a', 'b', '\uffff', '😀', 'c'])
    expect(found.map(({ windowStartMs }) => windowStartMs)).toEqual([10, 10, 10, 10, 20])
    expect(found[1]).toEqual({ key: 'b', windowStartMs: 10, value: 'b3', timestampMs: 3 })
    expect([...store.windows(11, 19)]).toEqual([])
  })

  test('load finds the windows of the backend again', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('a', 10, 'v', 11)
    store.put('b', 20, 'w', 21)
    await commit(store, backend)
    const again = open(backend)
    await again.load()
    expect([...again.windows(0, 100)]).toEqual([...store.windows(0, 100)])
    expect([...again.fetch('b', 0, 100)]).toEqual([
      { key: 'b', windowStartMs: 20, value: 'w', timestampMs: 21 },
    ])
    expect(again.observedTimeMs).toBe(20)
  })

  test('load lets others run between two chunks of rows', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (let index = 0; index < 5_000; index++) store.put(`k${index}`, 0, 'v', 0)
    await commit(store, backend)
    let turns = 0
    await open(backend).load(async () => {
      turns += 1
    })
    expect(turns).toBeGreaterThanOrEqual(5)
  })

  test('a key that is new in its window asks the backend nothing', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('a', 10, 'v', 11)
    await commit(store, backend)
    const again = open(unread(backend))
    again.put('a', 10, 'v', 11)
    expect(again.getTimed('b', 10)).toBeUndefined()
    expect(again.getTimed('a', 20)).toBeUndefined()
  })

  test('a window deleted in one layer and written in the next stays known', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('a', 10, 'v', 11)
    await commit(store, backend)
    store.put('a', 10, null, 12)
    const { changes } = store.seal()
    store.put('a', 10, 'again', 13)
    await backend.apply(changes, HEADER)
    store.release()
    expect([...store.windows(0, 100)].map(({ value }) => value)).toEqual(['again'])
    await commit(store, backend)
    expect([...store.windows(0, 100)].map(({ value }) => value)).toEqual(['again'])
  })
})

/** A backend that must not be asked for rows. */
function unread(backend: StateStore): StateStore {
  return {
    header: () => backend.header(),
    get: () => {
      throw new TypeError('asked the backend')
    },
    apply: backend.apply.bind(backend),
    scan: backend.scan.bind(backend),
    size: () => backend.size(),
    close: () => backend.close(),
  }
}
