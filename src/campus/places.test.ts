/** Whose the ingress's file is. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ingressFileOf } from './places.ts'

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

test('what was migrated takes it along, once', () => {
  const stem = join(folder, 'ingress')
  expect(ingressFileOf(stem, 'a')).toBe(`${stem}.db`)
  expect(ingressFileOf(stem, 'b', ['a'])).toBe(`${stem}.db`)
  expect(ingressFileOf(stem, 'b', ['a'])).toBe(`${stem}.db`)
  // Who goes on with the log from before begins anew: its file has moved.
  expect(ingressFileOf(stem, 'a')).toBe(`${stem}.2.db`)
})
