import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteBackend } from './sqlite-store.ts'
import { storeContract } from './store.contract.ts'
import {
  changesFor,
  Fold,
  headerAt,
  hexLines,
  location,
  numbers,
  positionOf,
  put,
  rowsOf,
  texts,
} from './store.contract/fixtures.ts'

storeContract('sqlite', {
  backend: (folder) => sqliteBackend({ folder }),
  durable: { module: `${import.meta.dir}/sqlite-store.ts`, export: 'sqliteBackend', options: {} },
})

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sqlite-store-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const file = (part: string): string => join(root, part, 'app/0_1/counts/store.sqlite')
const refused = (text: RegExp): unknown =>
  expect.objectContaining({ code: 'STORE_REFUSED', message: expect.stringMatching(text) })

test('R8: whatever a power cut takes from the end of the log, a whole earlier state is left', async () => {
  const { store } = await sqliteBackend({ folder: join(root, 'a') }).open(location)
  const batch = (seed: number) => changesFor({ seed, count: 40, keys: 500, valueBytesMax: 50 })
  for (let number = 0; number < 60; number += 1) {
    await store.apply(batch(number), headerAt(number + 1))
  }
  const next = numbers(1)
  const positions = new Set<number>()
  for (let round = 0; round < 30; round += 1) {
    const part = `cut-${round}`
    cpSync(join(root, 'a'), join(root, part), { recursive: true })
    const wal = readFileSync(`${file(part)}-wal`)
    const at = Math.floor(next() * wal.length)
    if (round % 2 === 0) wal.fill(0, at, at + 4_096)
    writeFileSync(`${file(part)}-wal`, round % 2 === 0 ? wal : wal.subarray(0, at))
    const opened = await sqliteBackend({ folder: join(root, part) }).open(location)
    const fold = new Fold()
    for (let number = 0; number < positionOf(opened.store); number += 1) fold.apply(batch(number))
    expect(hexLines(await rowsOf(opened.store))).toEqual(fold.lines())
    positions.add(positionOf(opened.store))
    await opened.store.close()
  }
  expect(positions.size).toBeGreaterThan(5)
  await store.close()
})

test('a newer format is refused, with a remedy', async () => {
  const backend = sqliteBackend({ folder: join(root, 'a') })
  await (await backend.open(location)).store.close()
  const database = new Database(file('a'))
  expect(database.query('PRAGMA user_version').values()).toEqual([[1]])
  database.run('PRAGMA user_version = 2')
  database.close(true)
  await expect(backend.open(location)).rejects.toEqual(refused(/format 2.*upgrade, or remove it/))
})

test("somebody else's database, a file that is none and a folder with other files are refused", async () => {
  const theirs = new Database(':memory:')
  theirs.run('CREATE TABLE theirs (a)')
  const found = { theirs: theirs.serialize(), text: Buffer.from('years of work'.repeat(100)) }
  for (const [part, bytes] of Object.entries(found)) {
    mkdirSync(join(file(part), '..'), { recursive: true })
    writeFileSync(file(part), bytes)
    const backend = sqliteBackend({ folder: join(root, part) })
    await expect(backend.open(location)).rejects.toEqual(refused(/not a sqlite store/))
    expect(readFileSync(file(part)).equals(bytes)).toBe(true)
  }
  writeFileSync(join(file('text'), '../thesis.txt'), 'years of work')
  const backend = sqliteBackend({ folder: join(root, 'text') })
  await expect(backend.wipe(location)).rejects.toEqual(refused(/thesis\.txt/))
})

test('what is found broken fails the store, and is thrown away when it is opened again', async () => {
  const backend = sqliteBackend({ folder: join(root, 'a') })
  const rows = Array.from({ length: 5_000 }, (_, index) => put(`k${index}`, 'x'.repeat(50)))
  const { store } = await backend.open(location)
  await store.apply(rows, headerAt(5))
  await store.close()
  const bytes = readFileSync(file('a'))
  bytes.fill(0xee, 4_096 * 4, 4_096 * 60)
  writeFileSync(file('a'), bytes)
  const broken = (await backend.open(location)).store
  const failed = expect.objectContaining({ code: 'STORE_FAILED' })
  await expect(rowsOf(broken)).rejects.toEqual(failed)
  await expect(broken.apply([put('a', '1')], headerAt(6))).rejects.toEqual(failed)
  await broken.close()
  const again = await backend.open(location)
  expect(again.wiped).toEqual({ reason: 'damaged', text: expect.stringMatching(/malformed/) })
  await again.store.apply([put('a', '1')], headerAt(1))
  expect(texts(await rowsOf(again.store))).toEqual(['a=1'])
  await again.store.close()
  const third = await backend.open(location)
  expect(third.wiped).toBeUndefined()
  await third.store.close()
})
