import { expect, test } from 'bun:test'
import { operator, sink, source } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

const startsWith =
  (text: string) =>
  (value: unknown): boolean =>
    String(value).startsWith(text)
const predicates = [startsWith('a'), startsWith('ab'), startsWith('b')]

function nodes(hasDefault: boolean) {
  const branches = ['one', 'two', 'three', ...(hasDefault ? ['rest'] : [])]
  return [
    source('in'),
    operator('branch', 'split', 'in', { predicates, hasDefault }),
    ...branches.flatMap((name) => [
      operator('pass', name, 'split', {}),
      sink(name, { name: `to-${name}`, topic: name }),
    ]),
  ]
}

test('the first true predicate takes the record, and no other', async () => {
  const rig = await Rig.open(nodes(true))
  for (const value of ['ab', 'b', 'c']) rig.pipe('in', 'k', value, 1)
  expect(rig.outputs.map(({ topic, value }) => `${topic} ${value}`)).toEqual([
    'one ab',
    'three b',
    'rest c',
  ])
})

test('without a default what matches nothing goes nowhere', async () => {
  const rig = await Rig.open(nodes(false))
  rig.pipe('in', 'k', 'c', 1)
  rig.pipe('in', 'k', 'b', 2)
  expect(rig.outputs.map(({ topic }) => topic)).toEqual(['three'])
  expect(rig.dropped).toEqual([])
})
