import { describe, expect, test } from 'bun:test'
import { operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

const isEven = (value: unknown): boolean => (value as number) % 2 === 0

function filtered(options: { keep?: boolean; store?: string; sendsOldValues?: boolean } = {}) {
  const { keep = true, store, sendsOldValues = false } = options
  const nodes = [
    source('in'),
    operator('table-source', 't', 'in', { store: 's', sendsOldValues }),
    operator('table-filter', 'f', 't', { predicate: isEven, keep, store, sendsOldValues }),
    operator('to-stream', 'ts', 'f', {}),
    sink('ts'),
  ]
  return Rig.open(nodes, [tableStore('s'), ...(store === undefined ? [] : [tableStore(store)])])
}

test('what does not pass becomes a tombstone, whatever was there before (K3)', async () => {
  const rig = await filtered()
  for (const [at, value] of [1, 2, 3, null].entries()) rig.pipe('in', 'a', value, at)
  expect(rig.take()).toEqual(['a null@0', 'a 2@1', 'a null@2', 'a null@3'])
})

test('filterNot keeps the others; an absent value passes neither', async () => {
  const rig = await filtered({ keep: false })
  for (const [at, value] of [1, 2, null].entries()) rig.pipe('in', 'a', value, at)
  expect(rig.take()).toEqual(['a 1@0', 'a null@1', 'a null@2'])
})

describe.each([undefined, 'f-store'])('told old values, with store %p', (store) => {
  test('nothing is forwarded where there was nothing and is nothing (K3)', async () => {
    const rig = await filtered({ sendsOldValues: true, ...(store && { store }) })
    for (const [at, value] of [1, 3, 2, 5, 7].entries()) rig.pipe('in', 'a', value, at)
    expect(rig.take()).toEqual(['a 2@2', 'a null@3'])
  })
})
