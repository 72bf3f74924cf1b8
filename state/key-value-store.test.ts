import { describe, expect, test } from 'bun:test'
import { AssertionError } from '#system'
import { KeyValueWriteBuffer, type KeyValueWriteBufferOptions } from './key-value-store.ts'
import { parseTimestamped } from './row-format.ts'
import type { OrderedStore, StateStore } from './store.ts'
import type { Codec } from './task-store.ts'
import {
  commit,
  golden,
  HEADER,
  long,
  openMemory,
  readable,
  rowsOf,
  text,
} from './test-helpers/task-stores.ts'

type Options = Partial<KeyValueWriteBufferOptions<string, string>>

function open(backend: StateStore, options: Options = {}): KeyValueWriteBuffer<string, string> {
  return new KeyValueWriteBuffer({
    name: 'store',
    store: backend,
    key: text,
    value: text,
    timestamped: true,
    logged: true,
    logEvery: false,
    ordered: true,
    ...options,
  })
}

/** Counts what is asked of a backend. */
function counting(backend: OrderedStore): { readonly store: StateStore; gets: number } {
  const counted = {
    gets: 0,
    store: {
      header: () => backend.header(),
      get: (key: Uint8Array) => {
        counted.gets += 1
        return backend.get(key)
      },
      apply: backend.apply.bind(backend),
      scan: backend.scan.bind(backend),
      size: () => backend.size(),
      close: () => backend.close(),
    },
  }
  return counted
}

describe('reads', () => {
  test('see the newest of open layer, committing layer, cache and backend', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('k', 'backend', 1)
    await commit(store, backend)
    expect(open(backend).getTimed('k')).toEqual({ value: 'backend', timestampMs: 1 })
    expect(store.getTimed('k')).toEqual({ value: 'backend', timestampMs: 1 })
    store.put('k', 'committing', 1)
    store.seal()
    expect(store.get('k')).toBe('committing')
    store.put('k', 'open', 2)
    expect(store.get('k')).toBe('open')
    store.savepoint()
    store.put('k', 'undone', 3)
    store.rollback()
    expect(store.getTimed('k')).toEqual({ value: 'open', timestampMs: 2 })
    expect(open(backend).get('k')).toBe('backend')
  })

  test('a delete in a layer hides the row below it', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('k', 'v', 1)
    await commit(store, backend)
    store.put('k', null, 2)
    expect(store.get('k')).toBeUndefined()
    expect(store.getTimed('k')).toBeUndefined()
    store.seal()
    expect(store.get('k')).toBeUndefined()
  })

  test('what a reader holds does not change under a later put', async () => {
    const store = open(await openMemory())
    store.put('k', 'old', 1)
    const held = store.getTimed('k')
    store.put('k', 'new', 2)
    expect(held).toEqual({ value: 'old', timestampMs: 1 })
  })

  test('empty strings, zero and keys of the same bytes but other kinds stay apart', async () => {
    const backend = await openMemory()
    const mixed: Codec<string | number> = {
      ...text,
      write: (value, target) => target.utf8(String(value)),
      encode: (value) => Buffer.from(String(value)),
      read: text.read,
    }
    const store = new KeyValueWriteBuffer<string | number, number>({
      name: 'mixed',
      store: backend,
      key: mixed,
      value: long,
      timestamped: true,
      logged: true,
      logEvery: false,
    })
    store.put('', 0, 0)
    store.put('1', 10, 0)
    store.put(1, 20, 0)
    expect(store.get('')).toBe(0)
    expect(store.get('1')).toBe(10)
    expect(store.get(1)).toBe(20)
  })

  test('a miss is remembered, and asks the backend once', async () => {
    const counted = counting(await openMemory())
    const store = open(counted.store)
    expect([store.get('k'), store.get('k'), store.get('k')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(counted.gets).toBe(1)
  })

  test('R4: the cache is filled at release, not at seal', async () => {
    const backend = await openMemory()
    const counted = counting(backend)
    const store = open(counted.store)
    store.put('k', 'v', 1)
    const { changes } = store.seal()
    await backend.apply(changes, HEADER)
    store.release()
    expect(store.get('k')).toBe('v')
    expect(counted.gets).toBe(0)
  })

  test('R4: release drops the committing layer: what the cache has not room for is asked for again', async () => {
    const backend = await openMemory()
    const counted = counting(backend)
    const store = open(counted.store, { cacheEntriesMax: 2 })
    for (let key = 0; key < 10; key++) store.put(`k${key}`, 'v', 1)
    const { changes } = store.seal()
    await backend.apply(changes, HEADER)
    expect(store.get('k0')).toBe('v')
    expect(counted.gets).toBe(0)
    store.release()
    expect(store.get('k0')).toBe('v')
    expect(counted.gets).toBe(1)
  })

  test('a cache that is full still answers from the backend', async () => {
    const backend = await openMemory()
    const store = open(backend, { cacheEntriesMax: 4 })
    for (let key = 0; key < 20; key++) store.put(`k${key}`, `v${key}`, key)
    await commit(store, backend)
    for (let key = 0; key < 20; key++) expect(store.get(`k${key}`)).toBe(`v${key}`)
  })

  test('the cache has room for so many bytes: fewer rows where they are large', async () => {
    const kept = async (value: string): Promise<number> => {
      const backend = await openMemory()
      const counted = counting(backend)
      const store = open(counted.store, { cacheBytesMax: 100_000 })
      for (let key = 0; key < 1_000; key++) store.put(`k${key}`, value, 1)
      await commit(store, backend)
      for (let key = 0; key < 1_000; key++) store.get(`k${999 - key}`)
      expect(store.memoryBytes).toBeLessThan(110_000)
      return 1_000 - counted.gets
    }
    const [small, large] = [await kept('x'), await kept('x'.repeat(1_000))]
    expect(small).toBeGreaterThan(large)
    expect(large).toBeGreaterThan(0)
  })

  test('plain stores keep no time: 0 in every layer', async () => {
    const backend = await openMemory()
    const store = open(backend, { timestamped: false })
    store.put('k', 'v', 5)
    expect(store.getTimed('k')).toEqual({ value: 'v', timestampMs: 0 })
    const { changelog } = await commit(store, backend)
    expect(store.getTimed('k')).toEqual({ value: 'v', timestampMs: 0 })
    expect(changelog.map(readable)).toEqual([['k', 'v', 5]])
    expect(await rowsOf(backend)).toEqual(new Map([['6b', '76']]))
    expect(open(backend, { timestamped: false }).getTimed('k')).toEqual({
      value: 'v',
      timestampMs: 0,
    })
  })
})

describe('seal', () => {
  test('nothing reaches the backend before it is applied', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('k', 'v', 1)
    store.seal()
    expect(backend.size().rows).toBe(0)
  })

  test('one record a key: the last value, in the order of last puts (X2)', async () => {
    const store = open(await openMemory())
    store.put('a', '1', 1)
    store.put('b', '2', 2)
    store.put('a', '3', 3)
    const { changelog, changes } = store.seal()
    expect(changelog.map(readable)).toEqual([
      ['b', '2', 2],
      ['a', '3', 3],
    ])
    expect(changes.map(({ value }) => value?.toHex())).toEqual([
      '000000000000000232',
      '000000000000000333',
    ])
  })

  test('a delete goes out if there was something, not for a key that came and went in between (X2)', async () => {
    const backend = await openMemory()
    const store = open(backend)
    store.put('there', '1', 1)
    await commit(store, backend)
    store.put('there', null, 2)
    store.put('in between', '2', 3)
    store.put('in between', null, 4)
    const { changelog, changes } = store.seal()
    expect(changelog.map(readable)).toEqual([['there', null, 2]])
    expect(changes.map(({ value }) => value)).toEqual([null])
  })

  test('logEvery: every put in put order, each with its own time', async () => {
    const backend = await openMemory()
    const store = open(backend, { logEvery: true })
    store.savepoint()
    store.put('a', '1', 1)
    store.put('a', '2', 7)
    store.savepoint()
    store.put('a', 'undone', 8)
    store.put('b', 'undone', 8)
    store.rollback()
    store.put('a', null, 3)
    const { changelog } = await commit(store, backend)
    expect(changelog.map(readable)).toEqual([
      ['a', '1', 1],
      ['a', '2', 7],
      ['a', null, 3],
    ])
    expect(backend.size().rows).toBe(0)
    expect(store.get('a')).toBeUndefined()
  })

  test('logged: false gives changes and no changelog', async () => {
    const store = open(await openMemory(), { logged: false, logEvery: true })
    store.put('a', '1', 1)
    const { changelog, changes } = store.seal()
    expect(changelog).toEqual([])
    expect(changes).toHaveLength(1)
  })

  test('rows and changelog values are Kafka Streams’ bytes', async () => {
    type Vector = { readonly value: string; readonly timestamp: number; readonly hex: string }
    const { timestamped } = await golden<{ timestamped: readonly Vector[] }>('values')
    expect(timestamped.length).toBeGreaterThan(20)
    const store = open(await openMemory())
    for (const { value, timestamp, hex } of timestamped) {
      store.put('k', value, timestamp)
      const { changelog, changes } = store.seal()
      store.release()
      expect(changes[0]?.value?.toHex()).toBe(hex)
      expect(changelog[0]?.value).toEqual(Buffer.from(value))
      expect(changelog[0]?.timestampMs).toBe(timestamp)
      const parsed = parseTimestamped(Uint8Array.fromHex(hex))
      expect(parsed.timestampMs).toBe(timestamp)
      expect(Buffer.from(parsed.value).toString()).toBe(value)
    }
  })

  test('a second seal before release is our own mistake', async () => {
    const store = open(await openMemory())
    store.put('k', 'v', 1)
    store.seal()
    expect(() => store.seal()).toThrow(AssertionError)
  })
})

describe('savepoint and rollback (R15)', () => {
  test('undo new keys, overwritten ones and deletes, whatever was put how often', async () => {
    const store = open(await openMemory())
    store.put('kept', 'v', 1)
    store.put('gone', 'v', 1)
    store.savepoint()
    store.put('kept', 'x', 2)
    store.put('kept', 'y', 3)
    store.put('gone', null, 2)
    store.put('new', 'x', 2)
    store.put('new', null, 2)
    store.rollback()
    expect(store.getTimed('kept')).toEqual({ value: 'v', timestampMs: 1 })
    expect(store.get('gone')).toBe('v')
    expect(store.seal().changelog.map(readable)).toEqual([
      ['kept', 'v', 1],
      ['gone', 'v', 1],
    ])
  })

  test('a rollback right after a seal undoes nothing of the sealed layer', async () => {
    const store = open(await openMemory())
    store.savepoint()
    store.put('k', 'v', 1)
    expect(store.seal().changelog).toHaveLength(1)
    store.rollback()
    expect(store.get('k')).toBe('v')
    store.put('k', 'w', 2)
    store.rollback()
    expect(store.get('k')).toBe('v')
  })

  test('a record with many puts is undone whole', async () => {
    const store = open(await openMemory())
    for (let key = 0; key < 200; key++) store.put(`k${key}`, 'before', 1)
    store.savepoint()
    for (let key = 0; key < 400; key++) store.put(`k${key}`, 'after', 2)
    store.rollback()
    for (let key = 0; key < 400; key++) {
      expect(store.get(`k${key}`)).toBe(key < 200 ? 'before' : undefined)
    }
  })
})

describe('range', () => {
  test('merges both layers with the backend in key byte order, bounds included', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (const key of ['a', 'c', 'e', 'é']) store.put(key, `${key}1`, 1)
    await commit(store, backend)
    store.put('b', 'b2', 2)
    store.put('c', null, 2)
    store.seal()
    store.put('d', 'd3', 3)
    store.put('e', 'e3', 3)
    const all: [string, string][] = [
      ['a', 'a1'],
      ['b', 'b2'],
      ['d', 'd3'],
      ['e', 'e3'],
      ['é', 'é1'],
    ]
    expect([...store.range({})]).toEqual(all)
    expect([...store.range({ reverse: true })]).toEqual(all.toReversed())
    expect([...store.range({ from: 'b', to: 'e' })]).toEqual(all.slice(1, 4))
    expect([...store.range({ from: 'c', to: 'c' })]).toEqual([])
  })

  test('answers what was there when it was asked for', async () => {
    const backend = await openMemory()
    const store = open(backend)
    for (const key of ['a', 'b', 'c']) store.put(key, key, 1)
    await commit(store, backend)
    store.put('d', 'd', 1)
    const seen: string[] = []
    for (const [key] of store.range({})) {
      seen.push(key)
      store.put(key, null, 2)
      store.put(`${key}x`, 'new', 2)
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd'])
  })

  test('reads large stores chunk by chunk, both ways', async () => {
    const backend = await openMemory()
    const store = open(backend)
    const keys = Array.from({ length: 2500 }, (_, index) => String(index).padStart(5, '0'))
    for (const key of keys) store.put(key, key, 1)
    await commit(store, backend)
    expect([...store.range({})].map(([key]) => key)).toEqual(keys)
    expect([...store.range({ reverse: true })].map(([key]) => key)).toEqual(keys.toReversed())
  })

  test('a store that is not ordered has none', async () => {
    const store = open(await openMemory(), { ordered: false })
    expect(() => store.range({})).toThrow('not ordered')
  })
})

test('memoryBytes grows with what is held and falls when layers are released', async () => {
  const backend = await openMemory()
  const store = open(backend, { cacheEntriesMax: 2 })
  const empty = store.memoryBytes
  for (let key = 0; key < 100; key++) store.put(`k${key}`, 'x'.repeat(100), 1)
  const full = store.memoryBytes
  expect(full).toBeGreaterThan(empty + 100 * 100)
  await commit(store, backend)
  expect(store.memoryBytes).toBeLessThan(full / 10)
})
