import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('mapValues keeps key and time, and is asked about null values too', async () => {
  const mapper = (value: unknown, key: unknown): unknown => `${key}:${value}`
  const rig = await Rig.open(chain(operator('map-values', 'm', 'in', { mapper })))
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', null, 2)
  expect(rig.take()).toEqual(['a a:x@1', 'a a:null@2'])
})

test('a mapper that answers nothing answers null', async () => {
  const rig = await Rig.open(chain(operator('map-values', 'm', 'in', { mapper: () => undefined })))
  rig.pipe('in', 'a', 'x', 1)
  expect(rig.outputs[0]?.value).toBeNull()
})
