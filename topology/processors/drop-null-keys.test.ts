import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('null keys stay out of a repartition topic, and are not counted (golden null-keys)', async () => {
  const rig = await Rig.open(chain(operator('drop-null-keys', 'd', 'in', {})))
  rig.pipe('in', null, 'x', 1)
  rig.pipe('in', 'a', null, 2)
  expect(rig.take()).toEqual(['a null@2'])
  expect(rig.dropped).toEqual([])
})
