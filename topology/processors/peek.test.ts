import { expect, test } from 'bun:test'
import { chain, operator } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('peek looks and forwards', async () => {
  const seen: unknown[] = []
  const action = (value: unknown, key: unknown): void => void seen.push([value, key])
  const rig = await Rig.open(chain(operator('peek', 'p', 'in', { action, ends: false })))
  rig.pipe('in', 'k', 'v', 1)
  expect(seen).toEqual([['v', 'k']])
  expect(rig.take()).toEqual(['k v@1'])
})

test('forEach looks and ends the branch', async () => {
  const seen: unknown[] = []
  const action = (value: unknown): void => void seen.push(value)
  const rig = await Rig.open(chain(operator('peek', 'p', 'in', { action, ends: true })))
  rig.pipe('in', 'k', 'v', 1)
  expect(seen).toEqual(['v'])
  expect(rig.take()).toEqual([])
})
