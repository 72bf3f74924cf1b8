import { describe, expect, test } from 'bun:test'
import type { KeyValueTaskStore, TaskStore, WindowTaskStore } from '#state'
import { deepFreeze, freezingStores } from './freeze.ts'
import { dedupeStore, operator, source, tableStore, windowStore } from './test-helper/nodes.ts'
import { Rig } from './test-helper/rig.ts'

test('deepFreeze freezes all the way down and leaves bytes alone', () => {
  const bytes = Uint8Array.of(1)
  const value = deepFreeze({ list: [{ n: 1 }], bytes, nothing: null })
  expect(Object.isFrozen(value.list[0])).toBe(true)
  bytes[0] = 2
  expect(value.bytes[0]).toBe(2)
})

test('a value that refers to itself ends', () => {
  const value: { self?: unknown } = {}
  value.self = value
  expect(Object.isFrozen(deepFreeze(value))).toBe(true)
})

describe('a freezing store', () => {
  const specs = [tableStore('s'), windowStore('w', { sizeMs: 10, graceMs: 0 }), dedupeStore('d', 1)]

  async function open() {
    const rig = await Rig.open([source('in'), operator('pass', 'p', 'in', {})], specs)
    const stores = new Map<string, TaskStore>()
    for (const { name } of specs) {
      const store = rig.store(name)
      if (store !== undefined) stores.set(name, store)
    }
    return { stores, frozen: freezingStores(stores, specs) }
  }

  test('freezes what is put and what is read, and is the store’s otherwise', async () => {
    const { stores, frozen } = await open()
    const s = frozen.get('s') as KeyValueTaskStore<unknown, unknown>
    const w = frozen.get('w') as WindowTaskStore<unknown, unknown>
    s.put('k', { n: 1 }, 5)
    w.put('k', 10, { n: 2 }, 15)
    const read = [
      s.get('k'),
      s.getTimed('k')?.value,
      [...s.range({})][0]?.[1],
      w.getTimed('k', 10)?.value,
      [...w.windows(0, 99)][0]?.value,
      [...w.fetch('k', 0, 99)][0]?.value,
    ]
    expect(read).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }, { n: 2 }, { n: 2 }, { n: 2 }])
    expect(read.every((value) => Object.isFrozen(value))).toBe(true)
    expect(w.observedTimeMs).toBe(10)
    expect((stores.get('s') as typeof s).getTimed('k')?.timestampMs).toBe(5)
  })

  test('is undone and sealed through the store beneath', async () => {
    const { frozen } = await open()
    const s = frozen.get('s') as KeyValueTaskStore<unknown, unknown>
    s.savepoint()
    s.put('k', 1, 1)
    s.rollback()
    expect(s.get('k')).toBeUndefined()
    s.put('k', 2, 1)
    expect(s.seal().changelog).toHaveLength(1)
    s.release()
    expect(s.get('k')).toBe(2)
  })

  test('stores without values are left as they are', async () => {
    const { stores, frozen } = await open()
    expect(frozen.get('d')).toBe(stores.get('d') as TaskStore)
  })
})
