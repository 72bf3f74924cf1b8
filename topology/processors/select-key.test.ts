import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('selectKey replaces the key and nothing else', async () => {
  const mapper = (value: unknown): unknown => (value === 'none' ? undefined : `key of ${value}`)
  const rig = await Rig.open(chain(operator('select-key', 's', 'in', { mapper })))
  rig.pipe('in', 'k', 'v', 7)
  rig.pipe('in', 'k', 'none', 8)
  expect(rig.take()).toEqual(['key of v v@7', 'null none@8'])
})
