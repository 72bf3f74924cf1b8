import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('flatMapValues forwards each value under the same key, in order', async () => {
  const mapper = (value: unknown): Iterable<unknown> => String(value)
  const rig = await Rig.open(chain(operator('flat-map-values', 'f', 'in', { mapper })))
  rig.pipe('in', 'k', 'abc', 7)
  rig.pipe('in', 'k', '', 8)
  expect(rig.take()).toEqual(['k a@7', 'k b@7', 'k c@7'])
})
