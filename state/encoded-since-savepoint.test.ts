import { expect, test } from 'bun:test'
import { KeyValueWriteBuffer } from './key-value-store.ts'
import { SuppressBuffer } from './suppress-store.ts'
import type { ChangelogRecord, TaskStore } from './task-store.ts'
import { openMemory, text } from './test-helpers/task-stores.ts'
import { WindowWriteBuffer } from './window-store.ts'

const rows = { name: 'store', key: text, value: text, timestamped: true, logged: true }
const windows = { ...rows, sizeMs: 10, retentionMs: 100, onClose: false }
const context = { timestampMs: 1, offset: 2, topic: 't', partition: 0, headers: [] }
const bytes = (value: string): Uint8Array => Buffer.from(value)

type Put = (key: string, value: string | null) => void

async function stores(logEvery: boolean): Promise<readonly (readonly [TaskStore, Put])[]> {
  const store = await openMemory()
  const keyValue = new KeyValueWriteBuffer({ ...rows, store, logEvery })
  const window = new WindowWriteBuffer({ ...windows, store: await openMemory(), logEvery })
  const suppress = new SuppressBuffer({ name: 'store', store: await openMemory(), logged: true })
  return [
    [keyValue, (key, value) => keyValue.put(key, value, 5)],
    [window, (key, value) => void window.put(key, 20, value, 5)],
    [
      suppress,
      (key, value) =>
        suppress.put(5, {
          key: bytes(key),
          oldValue: null,
          newValue: value === null ? null : bytes(value),
          context,
        }),
    ],
  ]
}

const shown = (records: readonly ChangelogRecord[] | undefined): readonly string[] => {
  const texts = (records ?? []).map(({ key, value, timestampMs, headers }) =>
    JSON.stringify([Buffer.from(key).toString(), value?.toHex(), timestampMs, headers?.length]),
  )
  return [...new Set(texts)].toSorted()
}

for (const logEvery of [false, true]) {
  test(`what was put since the savepoint is encoded as its seal would (logEvery ${logEvery})`, async () => {
    for (const [store, put] of await stores(logEvery)) {
      put('before', 'x')
      put('again', 'y')
      store.savepoint()
      expect(shown(store.encodedSinceSavepoint?.())).toEqual([])
      put('again', 'z')
      put('new', 'w')
      const found = shown(store.encodedSinceSavepoint?.())
      expect(found).toHaveLength(2)
      // Asked twice it answers the same, and changes nothing.
      expect(shown(store.encodedSinceSavepoint?.())).toEqual(found)
      const sealed = shown(store.seal().changelog)
      expect(sealed).toEqual(expect.arrayContaining([...found]))
      expect(sealed).toHaveLength(logEvery && store.constructor !== SuppressBuffer ? 4 : 3)
    }
  })
}

test('and is nothing once it is rolled back', async () => {
  for (const [store, put] of await stores(false)) {
    store.savepoint()
    put('a', 'x')
    store.rollback()
    expect(shown(store.encodedSinceSavepoint?.())).toEqual([])
  }
})
