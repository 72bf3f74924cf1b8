/** Whose the ingress's file is. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inheritIngressFile, ingressFileOf } from './places.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'places-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('each log has its own', () => {
  const stem = join(folder, 'ingress')
  expect(ingressFileOf(stem, 'a')).toBe(`${stem}.db`)
  expect(ingressFileOf(stem, 'b')).toBe(`${stem}.2.db`)
  expect(ingressFileOf(stem, 'a')).toBe(`${stem}.db`)
})

test('what was migrated takes it along, under whatever number it goes there, once', () => {
  const base = join(folder, 'ingress')
  const stem = `${base}-1`
  writeNote(ingressFileOf(base, 'a'), 'of a')
  inheritIngressFile({ base, stem }, 'b', ['a'])
  expect(readNote(ingressFileOf(stem, 'b'))).toBe('of a')
  // Another process on brokers finds nothing left, and a second start what is its own.
  inheritIngressFile({ base, stem: `${base}-2` }, 'b', ['a'])
  expect(existsSync(`${base}-2.db`)).toBe(false)
  inheritIngressFile({ base, stem }, 'b', ['a'])
  expect(readNote(ingressFileOf(stem, 'b'))).toBe('of a')
  // Back again, to the name that it had.
  inheritIngressFile({ base, stem: base }, 'c', ['b'])
  expect(readNote(ingressFileOf(base, 'c'))).toBe('of a')
  // Who goes on with a log from before begins anew.
  expect(ingressFileOf(base, 'a')).toBe(`${base}.2.db`)
})

test('a file that is there already is not given up for an older one', () => {
  const base = join(folder, 'ingress')
  const stem = `${base}-1`
  writeNote(ingressFileOf(stem, 'b'), 'of b')
  writeNote(ingressFileOf(base, 'a'), 'of a')
  inheritIngressFile({ base, stem }, 'b', ['a'])
  expect(readNote(ingressFileOf(stem, 'b'))).toBe('of b')
})

function writeNote(path: string, text: string): void {
  const database = new Database(path)
  database.run('CREATE TABLE note (text TEXT)')
  database.run('INSERT INTO note VALUES (?)', [text])
  database.close()
}

function readNote(path: string): unknown {
  const database = new Database(path)
  const row = database.query<{ readonly text: string }, []>('SELECT text FROM note').get()
  database.close()
  return row?.text
}
