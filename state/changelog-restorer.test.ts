import { describe, expect, test } from 'bun:test'
import { changelogRestorer, type RestoreSpec } from './changelog-restorer.ts'
import { windowStoreKey } from './row-format.ts'
import { HEADER, openMemory, restored } from './test-helpers/task-stores.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const KEY_VALUE: RestoreSpec = { name: 's', kind: 'key-value', timestamped: true }

describe('rows of restored records', () => {
  test('timestamped: the record’s time goes back in front of the value; a tombstone deletes', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await openMemory())
    restorer.add(restored(bytes('a'), bytes('v'), 10))
    restorer.add(restored(bytes('b'), null, 11))
    restorer.add(restored(bytes('c'), bytes(''), 12))
    expect(restorer.rows).toBe(3)
    expect(restorer.take().map(({ key, value }) => [key.toHex(), value?.toHex()])).toEqual([
      ['61', '000000000000000a76'],
      ['62', undefined],
      ['63', '000000000000000c'],
    ])
    expect([restorer.rows, restorer.take()]).toEqual([0, []])
  })

  test('rows that were taken stay as they are while the next batch fills up', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await openMemory())
    restorer.add(restored(bytes('a'), bytes('first'), 1))
    const [row] = restorer.take()
    const before = row?.value?.toHex()
    restorer.add(restored(bytes('a'), bytes('other'), 2))
    expect(row?.value?.toHex()).toBe(before)
  })

  test('plain: rows are the records', async () => {
    const spec: RestoreSpec = { name: 's', kind: 'key-value', timestamped: false }
    const restorer = changelogRestorer(spec, await openMemory())
    restorer.add(restored(bytes('a'), bytes('v'), 10))
    expect(restorer.take()).toEqual([{ key: bytes('a'), value: bytes('v') }])
  })

  test('window: the note of observed time rises, and never falls behind the store’s own', async () => {
    const store = await openMemory()
    const first = changelogRestorer({ name: 's', kind: 'window' }, store)
    first.add(restored(windowStoreKey(bytes('k'), 500), null, 501))
    const changes = first.take()
    expect(changes).toHaveLength(2)
    await store.apply(changes, HEADER)
    const second = changelogRestorer({ name: 's', kind: 'window' }, store)
    second.add(restored(windowStoreKey(bytes('k'), 400), bytes('v'), 401))
    expect(second.take()).toHaveLength(1)
  })
})
