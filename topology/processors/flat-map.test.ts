import { expect, test } from 'bun:test'
import { chain, operator, sink, source } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

const words = (value: unknown): readonly [unknown, unknown][] =>
  String(value)
    .split(' ')
    .map((word) => [word, value])

test('flatMap forwards each pair in order, at the time of the record', async () => {
  const rig = await Rig.open(chain(operator('flat-map', 'f', 'in', { mapper: words })))
  rig.pipe('in', 'k', 'a b', 7)
  expect(rig.take()).toEqual(['a a b@7', 'b a b@7'])
})

test('each pair has gone all the way down before the next (R1)', async () => {
  const nodes = [
    source('in'),
    operator('flat-map', 'f', 'in', { mapper: words }),
    sink('f', { name: 'first' }),
    sink('f', { name: 'second' }),
  ]
  const rig = await Rig.open(nodes)
  rig.pipe('in', 'k', 'a b', 1)
  expect(rig.take()).toEqual(['a a b@1', 'a a b@1', 'b a b@1', 'b a b@1'])
})
