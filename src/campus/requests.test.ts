import { expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Requests } from './requests.ts'

test('closing lets go of the file: nothing of its write-ahead log is left behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'requests-'))
  try {
    const requests = new Requests(join(folder, 'ingress.db'))
    const order = { order_id: 'o1', item_id: 'burger', qty: 1, user_id: 'u1', timestamp: 1 }
    const request = { key: 'k', bodyHash: 'h' }
    requests.rememberAll([{ order, request }])
    requests.findByKey('k', 'h')
    requests.findByOrderId('o1')
    requests.forget(0, 1)
    expect(await readdir(folder)).toContain('ingress.db-wal')
    requests.close()
    expect(await readdir(folder)).toEqual(['ingress.db'])
  } finally {
    await rm(folder, { recursive: true })
  }
})
