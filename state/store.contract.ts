/**
 * The suite that every store backend passes, ours and other people's: `storeContract('mine', { backend: … })`.
 *
 * Invariant: it asks only what `store.ts` promises; what is particular to a backend is tested beside it.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  changesFor,
  Fold,
  headerAt,
  hexLines,
  location,
  positionOf,
  put,
  remove,
  rowsOf,
  texts,
  utf8,
} from './store.contract/fixtures.ts'
import { durableContract, type ChildBackend } from './store.contract/durable.ts'
import { runStoreModel } from './store.contract/model.ts'
import { isOrdered, type StateStore, type StoreBackend, type StoreChange } from './store.ts'

export interface StoreHarness {
  /** A backend over `folder`, which is empty at first; called again for the same folder where contents are to be found again. */
  backend(folder: string): StoreBackend
  /** For backends that outlive their process: how another process makes the same backend. */
  readonly durable?: ChildBackend
}

export function storeContract(name: string, harness: StoreHarness): void {
  describe(`${name} keeps the store contract`, () => {
    let root = ''
    let folders = 0
    let backend: StoreBackend
    let store: StateStore
    const code = (wanted: string): unknown => expect.objectContaining({ code: wanted })
    const open = async (): Promise<StateStore> => (await backend.open(location)).store
    const apply = (changes: readonly StoreChange[], position = 1): Promise<void> =>
      store.apply(changes, headerAt(position))

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'store-contract-'))
    })
    afterAll(() => rm(root, { recursive: true, force: true }))
    beforeEach(async () => {
      folders += 1
      backend = harness.backend(join(root, String(folders)))
      store = await open()
    })
    afterEach(() => store.close())

    test('a new store is empty and has no header', async () => {
      expect(store.header()).toBeUndefined()
      expect(store.get(utf8('a'))).toBeUndefined()
      expect(await rowsOf(store)).toEqual([])
      expect(store.size()).toEqual({ rows: 0, bytes: 0 })
    })

    test('R6: an apply leaves the data and the header that came with it', async () => {
      await apply([put('a', '1'), put('b', '2')], 7)
      expect(store.header()).toEqual(headerAt(7))
      expect(texts(await rowsOf(store))).toEqual(['a=1', 'b=2'])
      await apply([], 8)
      expect(store.header()).toEqual(headerAt(8))
    })

    test('of a repeated key the last change wins', async () => {
      await apply([put('a', '1'), remove('a'), put('a', '2'), put('b', '1'), remove('b')])
      expect(texts(await rowsOf(store))).toEqual(['a=2'])
      const many = Array.from({ length: 1_000 }, (_, index) => put(`k${index % 10}`, `${index}`))
      await apply([...many, remove('k3')], 2)
      expect(Buffer.from(store.get(utf8('k9')) ?? '').toString()).toBe('999')
      expect(store.get(utf8('k3'))).toBeUndefined()
    })

    test('an empty value is a value; null removes, also what is not there', async () => {
      await apply([put('empty', ''), put('gone', '1'), remove('never')])
      await apply([remove('gone')], 2)
      expect(store.get(utf8('empty'))).toHaveLength(0)
      expect(texts(await rowsOf(store))).toEqual(['empty='])
    })

    test('any bytes are a key, and keys are ordered byte by byte', async () => {
      const keys = [0, 1, 15, 16, 17, 18, 64, 300].flatMap((length) =>
        [0x00, 0x01, 0x7f, 0x80, 0xff].flatMap((fill) =>
          ['', '00', '01', '0068', '006d', '0073', 'ff'].map((end) =>
            Buffer.concat([Buffer.alloc(length, fill), Buffer.from(end, 'hex')]),
          ),
        ),
      )
      await apply(keys.map((key, index) => ({ key, value: utf8(`${index}`) })))
      const fold = new Fold()
      fold.apply(keys.map((key, index) => ({ key, value: utf8(`${index}`) })))
      expect(hexLines(await rowsOf(store, { chunkRows: 3 }))).toEqual(fold.lines())
      expect(hexLines(await rowsOf(store, { chunkRows: 3, reverse: true }))).toEqual(
        fold.lines().toReversed(),
      )
      for (const key of keys) {
        expect(store.get(key)?.toHex()).toBe(fold.rows.get(key.toHex()) ?? '')
      }
      await apply(
        keys.map((key) => ({ key, value: null })),
        2,
      )
      expect(await rowsOf(store)).toEqual([])
      expect(store.header()).toEqual(headerAt(2))
    })

    test.each([1, 2, 3, 1_000])(
      'a scan includes `from` and excludes `to`, both ways, by %d',
      async (chunkRows) => {
        await apply(['a', 'b', 'bb', 'c', 'd'].map((key) => put(key, '')))
        const scan = async (options: { from?: Uint8Array; to?: Uint8Array }): Promise<string[]> => {
          const [up, down] = await Promise.all([
            rowsOf(store, { ...options, chunkRows }),
            rowsOf(store, { ...options, chunkRows, reverse: true }),
          ])
          expect(down.toReversed()).toEqual([...up])
          return up.map(({ key }) => Buffer.from(key).toString())
        }
        expect(await scan({})).toEqual(['a', 'b', 'bb', 'c', 'd'])
        expect(await scan({ from: utf8('b') })).toEqual(['b', 'bb', 'c', 'd'])
        expect(await scan({ to: utf8('c') })).toEqual(['a', 'b', 'bb'])
        expect(await scan({ from: utf8('b'), to: utf8('c') })).toEqual(['b', 'bb'])
        expect(await scan({ from: utf8('ba'), to: utf8('cc') })).toEqual(['bb', 'c'])
        expect(await scan({ from: utf8('c'), to: utf8('b') })).toEqual([])
      },
    )

    test('a chunk has at most the rows that were asked for, and a scan may be left early', async () => {
      await apply(Array.from({ length: 25 }, (_, index) => put(`k${index}`, '')))
      const lengths: number[] = []
      for await (const chunk of store.scan({ chunkRows: 10 })) lengths.push(chunk.length)
      expect(Math.max(...lengths)).toBe(10)
      for await (const chunk of store.scan({ chunkRows: 10 })) if (chunk.length > 0) break
      await apply([put('after', '1')], 2)
      expect(store.header()).toEqual(headerAt(2))
    })

    test('an apply beside a chunk that is being read disturbs neither', async () => {
      await apply(Array.from({ length: 2_000 }, (_, index) => put(`k${1e6 + index}`, 'old')))
      const scans = Array.from({ length: 8 }, () => rowsOf(store, { chunkRows: 50 }))
      for (let position = 2; position < 40; position += 1) await apply([put('zz', 'x')], position)
      for (const rows of await Promise.all(scans)) {
        expect(rows.filter(({ key }) => key[0] === 0x6b)).toHaveLength(2_000)
      }
    })

    test('bytes are copied: those given may change afterwards, those answered belong to the caller', async () => {
      const [key, value] = [utf8('key'), utf8('value')]
      await apply([{ key, value }])
      key.fill(0)
      value.fill(0)
      store.get(utf8('key'))?.fill(0)
      for (const row of await rowsOf(store)) row.value.fill(0)
      expect(texts(await rowsOf(store))).toEqual(['key=value'])
    })

    test('what was applied is there after closing and opening', async () => {
      await apply(changesFor({ seed: 1, count: 5_000, keys: 3_000, valueBytesMax: 50 }), 9)
      const [before, size] = [hexLines(await rowsOf(store)), store.size()]
      await store.close()
      store = await open()
      expect(hexLines(await rowsOf(store))).toEqual(before)
      expect(store.header()).toEqual(headerAt(9))
      expect(store.size()).toEqual(size)
    })

    test('wiping removes rows and header, of this store only', async () => {
      const neighbour = { ...location, storeName: 'neighbour' }
      const beside = (await backend.open(neighbour)).store
      await beside.apply([put('n', '1')], headerAt(3))
      await apply([put('a', '1')])
      await store.close()
      await backend.wipe(location)
      await backend.wipe({ ...location, storeName: 'never-opened' })
      store = await open()
      expect(store.header()).toBeUndefined()
      expect(await rowsOf(store)).toEqual([])
      expect(texts(await rowsOf(beside))).toEqual(['n=1'])
      await beside.close()
    })

    test('application, task and name tell stores apart', async () => {
      const others = [{ applicationId: 'app2' }, { taskId: '0_2' }, { storeName: 'counts2' }]
      await apply([put('a', '1')])
      for (const other of others) {
        const opened = await backend.open({ ...location, ...other })
        expect(opened.store.header()).toBeUndefined()
        expect(opened.wiped).toBeUndefined()
        await opened.store.close()
      }
    })

    test.each(['', '.', '..', 'a/b', 'a\0b'])('a store is never named %j', async (storeName) => {
      await expect(backend.open({ ...location, storeName })).rejects.toThrow(/cannot name a folder/)
    })

    test('a store has one owner: STORE_LOCKED to open or wipe it while it is open', async () => {
      await expect(backend.open(location)).rejects.toEqual(code('STORE_LOCKED'))
      await expect(backend.wipe(location)).rejects.toEqual(code('STORE_LOCKED'))
      await apply([put('a', '1')])
      expect(texts(await rowsOf(store))).toEqual(['a=1'])
    })

    test('a closed store answers STORE_CLOSED, and may be closed again', async () => {
      await store.close()
      await store.close()
      expect(() => store.header()).toThrow(code('STORE_CLOSED'))
      expect(() => store.get(utf8('a'))).toThrow(code('STORE_CLOSED'))
      expect(() => store.size()).toThrow(code('STORE_CLOSED'))
      await expect(apply([put('a', '1')])).rejects.toEqual(code('STORE_CLOSED'))
      await expect(rowsOf(store)).rejects.toEqual(code('STORE_CLOSED'))
      if (isOrdered(store)) {
        const { range } = store
        expect(() => range.call(store, {})).toThrow(code('STORE_CLOSED'))
      }
    })

    test.each([2, 3_000])(
      'a failed apply of %d changes is fatal and leaves what was',
      async (size) => {
        await apply([put('a', '1'), put('b', '1')], 4)
        const broken: StoreChange = {
          key: utf8('c'),
          get value(): Uint8Array {
            throw new RangeError('as if the device had failed')
          },
        }
        const changes = Array.from({ length: size }, (_, index) => put(`k${index}`, '2'))
        await expect(apply([put('a', '2'), remove('b'), ...changes, broken], 5)).rejects.toEqual(
          code('STORE_FAILED'),
        )
        expect(() => store.get(utf8('a'))).toThrow(code('STORE_FAILED'))
        await expect(apply([put('d', '1')], 6)).rejects.toEqual(code('STORE_FAILED'))
        await store.close()
        store = await open()
        expect(texts(await rowsOf(store))).toEqual(['a=1', 'b=1'])
        expect(positionOf(store)).toBe(4)
      },
    )

    test('size counts small stores row by row, and large ones within a tenth', async () => {
      for (let position = 1; position < 50; position += 1) {
        await apply([put('a', '12345'), put('b', '123'), remove(`c`)], position)
      }
      expect(store.size()).toEqual({ rows: 2, bytes: 10 })
      const rows = Array.from({ length: 60_000 }, (_, index) => put(`k${index}`, 'x'.repeat(20)))
      await apply(rows, 50)
      await apply(
        rows.slice(0, 20_000).map(({ key }) => ({ key, value: null })),
        51,
      )
      expect(store.size().rows / 40_002).toBeCloseTo(1, 1)
      expect(store.size().bytes / (40_000 * 26)).toBeCloseTo(1, 1)
    })

    test('a backend that says it is ordered opens stores that answer ranges', async () => {
      expect(isOrdered(store)).toBe(backend.ordered)
      if (!isOrdered(store)) return
      await apply(['a', 'b', 'c', 'd'].map((key) => put(key, key)))
      expect(texts(store.range({}))).toEqual(['a=a', 'b=b', 'c=c', 'd=d'])
      expect(texts(store.range({ from: utf8('b'), to: utf8('d') }))).toEqual(['b=b', 'c=c'])
      expect(texts(store.range({ reverse: true, rowsMax: 2 }))).toEqual(['d=d', 'c=c'])
      expect(texts(store.range({ rowsMax: 0 }))).toEqual([])
    })

    test('200,000 operations agree with a plain map, scans between and during writes', async () => {
      const tally = await runStoreModel(backend, 200_000)
      expect(tally.operations).toBeGreaterThanOrEqual(200_000)
      expect(tally.rowsScanned).toBeGreaterThan(10_000)
    }, 120_000)

    if (harness.durable !== undefined) durableContract(harness, harness.durable)
  })
}
