import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { levelBackend } from './level-store.ts'
import { storeContract } from './store.contract.ts'
import { headerAt, location, positionOf, put, rowsOf, texts } from './store.contract/fixtures.ts'
import type { OpenedStore, StateStore } from './store.ts'

/** Write buffers of 64 KiB, so that the suite runs through hundreds of compactions. */
const options = { bootId: 'boot-1', writeBufferBytes: 64 * 1024 }

storeContract('level', {
  backend: (folder) => levelBackend({ folder, ...options }),
  durable: { module: `${import.meta.dir}/level-store.ts`, export: 'levelBackend', options },
})

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'level-store-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function open(part: string, bootId: string | undefined): Promise<OpenedStore> {
  return levelBackend({ folder: join(root, part), bootId }).open(location)
}
function filesOf(part: string): string {
  return join(root, part, 'app/0_1/counts')
}

describe('R8: after a restart of the machine', () => {
  /** What a kill at this moment would leave. */
  const killed = (part: string): string => {
    cpSync(join(root, part), join(root, `${part}-killed`), { recursive: true })
    return `${part}-killed`
  }
  const outcomes: [
    found: string,
    bootIdBefore: string | undefined,
    bootId: string | undefined,
    wiped: boolean,
  ][] = [
    ['in the same boot', 'boot-1', 'boot-1', false],
    ['in another boot', 'boot-1', 'boot-2', true],
    ['in a boot that is not known', 'boot-1', undefined, true],
    ['written and found in boots that are not known', undefined, undefined, true],
  ]
  test.each(outcomes)('a store that was in use, found %s', async (_found, before, now, wiped) => {
    const { store } = await open('a', before)
    await store.apply([put('a', '1')], headerAt(5))
    const again = await open(killed('a'), now)
    expect(again.wiped?.reason).toBe(wiped ? 'unclean-reboot' : undefined)
    expect(positionOf(again.store)).toBe(wiped ? 0 : 5)
    expect(texts(await rowsOf(again.store))).toEqual(wiped ? [] : ['a=1'])
    await Promise.all([store.close(), again.store.close()])
  })

  test('a store that was closed cleanly is kept, until it is applied to again', async () => {
    const first = await open('a', 'boot-1')
    await first.store.apply([put('a', '1')], headerAt(5))
    await first.store.close()
    const second = await open('a', 'boot-2')
    expect(second.wiped).toBeUndefined()
    const idle = killed('a')
    await second.store.apply([put('a', '2')], headerAt(6))
    const third = await open(idle, 'boot-3')
    expect(third.wiped).toBeUndefined()
    expect(positionOf(third.store)).toBe(5)
    await third.store.close()
    rmSync(join(root, idle), { recursive: true })
    const fourth = await open(killed('a'), 'boot-3')
    expect(fourth.wiped?.reason).toBe('unclean-reboot')
    await Promise.all([second.store.close(), fourth.store.close()])
  })

  test('a clean close leaves the mark, and nothing else, to the log file that was synced last', async () => {
    const { store } = await open('a', 'boot-1')
    await store.apply(
      Array.from({ length: 5_000 }, (_, index) => put(`k${index}`, 'x'.repeat(100))),
      headerAt(5),
    )
    const logBytes = (): number =>
      readdirSync(filesOf('a'))
        .filter((name) => name.endsWith('.log'))
        .reduce((sum, name) => sum + statSync(join(filesOf('a'), name)).size, 0)
    expect(logBytes()).toBeGreaterThan(500_000)
    await store.close()
    expect(logBytes()).toBeLessThan(200)
  })
})

describe('what is no store, or broken', () => {
  async function applied(part: string): Promise<string> {
    const { store } = await open(part, 'boot-1')
    await store.apply([put('a', '1')], headerAt(5))
    await store.close()
    return filesOf(part)
  }
  const refused = (text: RegExp): unknown =>
    expect.objectContaining({ code: 'STORE_REFUSED', message: expect.stringMatching(text) })

  test('a newer format is refused, with a remedy, and stays as it was', async () => {
    const level = new ClassicLevel<Uint8Array, Uint8Array>(await applied('a'), {
      keyEncoding: 'view',
      valueEncoding: 'view',
    })
    const mark = Buffer.concat([Buffer.alloc(16, 0xff), Buffer.from([0x00, 0x6d])])
    expect(level.status).toBe('opening')
    await level.open()
    expect(level.getSync(mark)?.[0]).toBe(1)
    await level.put(mark, new Uint8Array([2, 1]))
    await level.close()
    const wanted = refused(/format 2.*upgrade, or remove it/)
    await expect(open('a', 'boot-1')).rejects.toEqual(wanted)
    await expect(open('a', 'boot-1')).rejects.toEqual(wanted)
  })

  test('the LevelDB of somebody else is refused', async () => {
    const level = new ClassicLevel(filesOf('a'))
    await level.put('theirs', '1')
    await level.close()
    await expect(open('a', 'boot-1')).rejects.toEqual(refused(/not a level store/))
    const again = new ClassicLevel(filesOf('a'))
    expect(await again.get('theirs')).toBe('1')
    await again.close()
  })

  test('a folder with other files is refused, to open and to wipe, and no file is added', async () => {
    await applied('a')
    writeFileSync(join(filesOf('a'), 'thesis.txt'), 'years of work')
    const before = readdirSync(filesOf('a'))
    await expect(open('a', 'boot-1')).rejects.toEqual(refused(/thesis\.txt/))
    const backend = levelBackend({ folder: join(root, 'a'), bootId: 'boot-1' })
    await expect(backend.wipe(location)).rejects.toEqual(refused(/thesis\.txt/))
    expect(readdirSync(filesOf('a'))).toEqual(before)
  })

  test('files that LevelDB cannot open are thrown away and said to be damaged', async () => {
    writeFileSync(join(await applied('a'), 'CURRENT'), 'MANIFEST-what')
    const { store, wiped } = await open('a', 'boot-1')
    expect(wiped?.reason).toBe('damaged')
    expect(store.header()).toBeUndefined()
    await store.apply([put('b', '1')], headerAt(1))
    expect(texts(await rowsOf(store))).toEqual(['b=1'])
    await store.close()
  })
})

/** What the next test watches of LevelDB. */
interface Watched {
  iterator(options: object): { close(): Promise<void> }
  batch(): { write(options: { sync: boolean }): Promise<void> }
}

test('no iterator is open while a batch is written, and only the first and last batch are synced', async () => {
  let reading = 0
  let writing = 0
  const seen = { chunks: 0, overlaps: 0, synced: [] as boolean[] }
  const look = (): void => {
    if (reading > 0 && writing > 0) seen.overlaps += 1
  }
  const prototype: Watched = ClassicLevel.prototype
  const { iterator, batch } = prototype
  const spies = [
    spyOn(prototype, 'iterator').mockImplementation(function (this: Watched, given) {
      const made = iterator.call(this, given)
      const close = made.close.bind(made)
      reading += 1
      seen.chunks += 1
      look()
      made.close = () => close().finally(() => (reading -= 1))
      return made
    }),
    spyOn(prototype, 'batch').mockImplementation(function (this: Watched) {
      const made = batch.call(this)
      const write = made.write.bind(made)
      made.write = (given) => {
        writing += 1
        seen.synced.push(given.sync)
        look()
        return write(given).finally(() => (writing -= 1))
      }
      return made
    }),
  ]
  try {
    const { store } = await open('a', 'boot-1')
    const rows = Array.from({ length: 500 }, (_, index) => put(`k${index}`, 'x'))
    const scans = async (one: StateStore): Promise<unknown> => rowsOf(one, { chunkRows: 10 })
    await store.apply(rows, headerAt(1))
    const running = [scans(store), scans(store), scans(store)]
    for (let position = 2; position < 100; position += 1)
      await store.apply(rows, headerAt(position))
    await Promise.all(running)
    await store.close()
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  expect(seen.chunks).toBeGreaterThan(150)
  expect(seen.overlaps).toBe(0)
  // R8: the batch that says the store is in use, and the mark that says it was closed; nothing in between is waited for.
  expect(seen.synced).toHaveLength(100)
  expect(seen.synced.flatMap((sync, at) => (sync ? at : []))).toEqual([0, 99])
})
