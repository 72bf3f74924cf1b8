import { expect, test } from 'bun:test'
import type { PairMapper } from '../node.ts'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('map gives a new key and value at the time of the record (R5)', async () => {
  const mapper: PairMapper = (value, key) => [value, key]
  const rig = await Rig.open(chain(operator('map', 'm', 'in', { mapper })))
  rig.pipe('in', 'k', 'v', 7)
  rig.pipe('in', null, 'v', 8)
  expect(rig.take()).toEqual(['v k@7', 'v null@8'])
})
