import { describe, expect, test } from 'bun:test'
import { changelogRestorer } from './changelog-restorer.ts'
import type { RestoredRecord, RestoreSpec } from './restorer.ts'
import { parseWindowStoreKey, windowStoreKey } from './row-format.ts'
import type { StateStore } from './store.ts'
import { applyRestored, HEADER, openMemory, restored, rowsOf } from './test-helpers/task-stores.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const WINDOW: RestoreSpec = { name: 's', kind: 'window', retentionMs: 100, expiry: 'logged' }
const KEY_VALUE: RestoreSpec = { name: 's', kind: 'key-value', timestamped: true }

async function storeThat(takesRepeats: boolean): Promise<StateStore> {
  return Object.defineProperty(await openMemory(), 'takesRepeats', { value: takesRepeats })
}

describe.each([true, false])('rows of restored records, repeats taken: %p', (takesRepeats) => {
  const open = () => storeThat(takesRepeats)

  test('timestamped: the record’s time goes back in front of the value; a tombstone deletes', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await open())
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

  test('a key that comes again is as its latest record says; a delete may be that, or what comes after one', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await open())
    for (const [at, [key, value]] of ['a1', 'b2', 'c3', 'a4', 'b', 'b5', 'c'].entries()) {
      restorer.add(restored(bytes(key ?? ''), value === undefined ? null : bytes(value), at))
    }
    expect(restorer.rows).toBe(takesRepeats ? 7 : 3)
    const taken = restorer.take()
    expect(taken).toHaveLength(takesRepeats ? 7 : 3)
    // In order, the last wins.
    const latest = new Map(taken.map((change) => [change.key.toHex(), change])).values()
    expect([...latest].map(({ key, value }) => [key.toHex(), value?.toHex()])).toEqual([
      ['61', '000000000000000334'],
      ['62', '000000000000000535'],
      ['63', undefined],
    ])
  })

  test('many rows, more than the buffer has room for at first, stay as they were added', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await open())
    for (let n = 0; n < 3_000; n += 1) {
      restorer.add(restored(bytes(`k${n}`), bytes(`${n} `.padEnd(60, 'v')), n))
    }
    const values = restorer
      .take()
      .map(({ value }) => Buffer.from(value ?? []).toString('latin1', 8))
    expect(values).toEqual(Array.from({ length: 3_000 }, (_, n) => `${n} `.padEnd(60, 'v')))
  })

  test('rows that were taken stay as they are while the next batch fills up', async () => {
    const restorer = changelogRestorer(KEY_VALUE, await open())
    restorer.add(restored(bytes('a'), bytes('first'), 1))
    const [row] = restorer.take()
    const before = row?.value?.toHex()
    restorer.add(restored(bytes('a'), bytes('other'), 2))
    expect(row?.value?.toHex()).toBe(before)
  })

  test('plain: rows are the records', async () => {
    const spec: RestoreSpec = { name: 's', kind: 'key-value', timestamped: false }
    const restorer = changelogRestorer(spec, await open())
    restorer.add(restored(bytes('a'), bytes('v'), 10))
    expect(restorer.take()).toEqual([{ key: bytes('a'), value: bytes('v') }])
  })

  test('window: the note of observed time rises, and never falls behind the store’s own', async () => {
    const store = await openMemory()
    const first = changelogRestorer(WINDOW, store)
    first.add(restored(windowStoreKey(bytes('k'), 500), null, 501))
    const changes = first.take()
    expect(changes).toHaveLength(2)
    await store.apply(changes, HEADER)
    const second = changelogRestorer(WINDOW, store)
    second.add(restored(windowStoreKey(bytes('k'), 400), bytes('v'), 401))
    expect(second.take()).toHaveLength(1)
  })
})

describe('rows that expire while they are restored', () => {
  const put = (startMs: number, key = 'k'): RestoredRecord =>
    restored(windowStoreKey(bytes(key), startMs), bytes('v'), startMs)

  async function follow(
    spec: RestoreSpec,
    ...commits: readonly (readonly RestoredRecord[])[]
  ): Promise<readonly (number | undefined)[]> {
    const store = await openMemory()
    await store.apply(
      [{ key: windowStoreKey(bytes('before'), 0), value: bytes('12345678v') }],
      HEADER,
    )
    const restorer = changelogRestorer(spec, store)
    for (const records of commits) {
      for (const record of records) restorer.add(record)
      await applyRestored(restorer, store)
    }
    const keys = [...(await rowsOf(store)).keys()].map((key) => Buffer.from(key, 'hex'))
    return keys.flatMap((key) => parseWindowStoreKey(key)?.startMs ?? []).sort((a, b) => a - b)
  }

  test('by time: windows whose segment is over go, those from before too; late ones are not taken', async () => {
    const byTime: RestoreSpec = { ...WINDOW, expiry: 'by-time' }
    const commits = [[put(0), put(59_999)], [put(60_000)], [put(120_100)], [put(10, 'late')]]
    // 120,100 − 100 is the first time at which the segment 60,000–120,000 is over as well (S3).
    expect(await follow(byTime, ...commits)).toEqual([120_100])
    expect(await follow(byTime, ...commits.slice(0, 2))).toEqual([0, 0, 59_999, 60_000])
  })

  test('logged or kept: what no tombstone names stays', async () => {
    const tombstone = restored(windowStoreKey(bytes('k'), 0), null, 120_100)
    for (const expiry of ['logged', 'kept'] as const) {
      const left = await follow(
        { ...WINDOW, expiry },
        [put(0), put(1)],
        [put(120_100)],
        [tombstone],
      )
      expect(left).toEqual([0, 1, 120_100])
    }
  })
})
