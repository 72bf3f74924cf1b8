import { expect, test } from 'bun:test'
import { operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

function table(store: string | undefined, sendsOldValues = false) {
  const seen: unknown[] = []
  const nodes = [
    source('in'),
    operator('table-source', 't', 'in', { store, sendsOldValues }),
    operator('table-map-values', 'm', 't', {
      mapper: (value) => (seen.push(value), value),
      store: undefined,
      sendsOldValues,
    }),
    operator('to-stream', 'ts', 'm', {}),
    sink('ts'),
  ]
  const stores = store === undefined ? [] : [tableStore(store)]
  return { seen, opening: Rig.open(nodes, stores) }
}

test('a null key is dropped and counted, a null value is a tombstone (K1)', async () => {
  const rig = await table('s').opening
  rig.pipe('in', null, 'x', 1)
  rig.pipe('in', 'a', 'x', 2)
  rig.pipe('in', 'a', null, 3)
  expect(rig.take()).toEqual(['a x@2', 'a null@3'])
  expect(rig.dropped).toEqual(['t: null key'])
})

test('an older record than the stored one is a change all the same (K1), and so is an equal one (K2)', async () => {
  const rig = await table('s').opening
  rig.pipe('in', 'a', 'x', 5)
  rig.pipe('in', 'a', 'y', 3)
  rig.pipe('in', 'a', 'y', 3)
  expect(rig.take()).toEqual(['a x@5', 'a y@3', 'a y@3'])
})

test('a tombstone for an unknown key goes on (golden nocache-table-tombstone-unknown)', async () => {
  const rig = await table('s').opening
  rig.pipe('in', 'a', null, 1)
  expect(rig.take()).toEqual(['a null@1'])
})

test('old values are read from the store, and only where they are asked for', async () => {
  const asked = table('s', true)
  const rig = await asked.opening
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', 'y', 2)
  expect(asked.seen).toEqual(['x', 'y', 'x'])
  const unasked = table('s')
  const other = await unasked.opening
  other.pipe('in', 'a', 'x', 1)
  other.pipe('in', 'a', 'y', 2)
  expect(unasked.seen).toEqual(['x', 'y'])
})

test('a table that nobody reads passes its changes on without a store', async () => {
  const rig = await table(undefined).opening
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', null, 2)
  expect(rig.take()).toEqual(['a x@1', 'a null@2'])
})

test('a stream read as a table behaves the same', async () => {
  const nodes = [
    source('in'),
    operator('to-table', 't', 'in', { store: 's', sendsOldValues: false }),
    operator('to-stream', 'ts', 't', {}),
    sink('ts'),
  ]
  const rig = await Rig.open(nodes, [tableStore('s')])
  rig.pipe('in', null, 'x', 1)
  rig.pipe('in', 'a', 'x', 2)
  expect(rig.take()).toEqual(['a x@2'])
  expect(rig.dropped).toEqual(['t: null key'])
})
