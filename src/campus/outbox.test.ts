import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Outbox } from './outbox.ts'
import { Requests } from './requests.ts'
import { orderOf } from './test-helper/records.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outbox-'))
  path = join(folder, 'ingress.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const order = (id: string) => orderOf(id, 'burger', 1, 1)

test('gives a partition’s orders in the order in which they came, also after a restart', () => {
  let outbox = new Outbox(path, 10)
  outbox.add(1, [order('b'), order('a')])
  outbox.add(2, [order('x')])
  outbox.add(1, [order('c')])
  outbox.close()
  outbox = new Outbox(path, 10)
  expect(outbox.count).toBe(4)
  expect(outbox.first(1, 2)).toEqual([order('b'), order('a')])
  outbox.remove([order('b'), order('nobody')])
  expect(outbox.first(1, 10)).toEqual([order('a'), order('c')])
  expect([outbox.isEmpty(0), outbox.isEmpty(2), outbox.count]).toEqual([true, false, 3])
  outbox.close()
})

test('takes no more than it may, and says how many; what is there already needs no room', () => {
  const outbox = new Outbox(path, 3)
  expect(outbox.add(0, [order('a'), order('b')])).toBe(2)
  expect(outbox.add(0, [order('a'), order('c'), order('d'), order('b')])).toBe(2)
  expect(outbox.add(0, [order('b'), order('a')])).toBe(2)
  expect(outbox.first(0, 10).map(({ order_id }) => order_id)).toEqual(['a', 'b', 'c'])
  outbox.remove([order('a')])
  expect(outbox.add(0, [order('d')])).toBe(1)
  outbox.close()
})

test('lives in one file with what the ingress remembers, which may forget an order that waits', () => {
  const requests = new Requests(path)
  const outbox = new Outbox(path, 3)
  requests.rememberAll([{ order: order('a'), request: undefined }])
  outbox.add(0, [order('a')])
  requests.forget(10 * 86_400_000, 10)
  expect(requests.findByOrderId('a')).toBeUndefined()
  expect(outbox.first(0, 1)).toEqual([order('a')])
  outbox.close()
  requests.close()
  const database = new Database(path)
  expect(database.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  database.close(true)
  expect(readdirSync(folder)).toEqual(['ingress.db'])
})
