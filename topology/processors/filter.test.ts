import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

const isLong = (value: unknown): boolean => String(value).length > 1

test('filter forwards what the predicate lets through, null values included', async () => {
  const node = operator('filter', 'f', 'in', { predicate: isLong, keep: true })
  const rig = await Rig.open(chain(node))
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', 'xy', 2)
  rig.pipe('in', null, null, 3)
  expect(rig.take()).toEqual(['a xy@2', 'null null@3'])
})

test('filterNot forwards the others', async () => {
  const node = operator('filter', 'f', 'in', { predicate: isLong, keep: false })
  const rig = await Rig.open(chain(node))
  rig.pipe('in', 'a', 'x', 1)
  rig.pipe('in', 'a', 'xy', 2)
  expect(rig.take()).toEqual(['a x@1'])
})

test('the predicate sees value, then key', async () => {
  const seen: unknown[] = []
  const predicate = (value: unknown, key: unknown): boolean => seen.push([value, key]) > 0
  const rig = await Rig.open(chain(operator('filter', 'f', 'in', { predicate, keep: true })))
  rig.pipe('in', 'key', 'value', 1)
  expect(seen).toEqual([['value', 'key']])
})
