import { expect, test } from 'bun:test'
import { operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('every change of a table is a record with the new value, tombstones included', async () => {
  const nodes = [
    source('in'),
    operator('table-source', 't', 'in', { store: 's', sendsOldValues: true }),
    operator('to-stream', 'ts', 't', {}),
    sink('ts'),
  ]
  const rig = await Rig.open(nodes, [tableStore('s')])
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', 'y', 2)
  rig.pipe('in', 'a', null, 3)
  expect(rig.take()).toEqual(['a x@1', 'a y@2', 'a null@3'])
})
