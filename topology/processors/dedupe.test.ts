import { expect, test } from 'bun:test'
import { TopologyError } from '../topology.ts'
import type { ValueMapper } from '../node.ts'
import { chain, dedupeStore, operator, sink, source } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

function deduped(withinMs: number, by: ValueMapper = (value) => value) {
  const node = operator('dedupe', 'once', 'in', { store: 'seen', by, withinMs })
  return Rig.open(chain(node), [dedupeStore('seen', withinMs)])
}

test('an id passes once; a repeat within withinMs of stream time is dropped (R14)', async () => {
  const rig = await deduped(100)
  rig.pipe('in', 'k', 'a', 0)
  rig.pipe('in', 'other key', 'a', 100)
  rig.pipe('in', 'k', 'b', 100)
  expect(rig.take()).toEqual(['k a@0', 'k b@100'])
  expect(rig.dropped).toEqual(['once: repeat'])
})

test('age is counted in stream time from acceptance, not between timestamps (R14)', async () => {
  const rig = await deduped(100)
  rig.pipe('in', 'k', 'mover', 50)
  rig.pipe('in', 'k', 'a', 0) // accepted at stream time 50
  rig.pipe('in', 'k', 'a', 150)
  expect(rig.take()).toEqual(['k mover@50', 'k a@0'])
  rig.pipe('in', 'k', 'a', 151)
  expect(rig.take()).toEqual(['k a@151'])
})

test('a record without an id is dropped and counted', async () => {
  const rig = await deduped(100, (value) => (value === 'none' ? undefined : null))
  rig.pipe('in', 'k', 'none', 1)
  rig.pipe('in', 'k', 'x', 2)
  expect(rig.dropped).toEqual(['once: null id', 'once: null id'])
})

test('an id that is no text is refused', async () => {
  const rig = await deduped(100, () => 7)
  expect(() => rig.pipe('in', 'k', 'x', 1)).toThrow(TopologyError)
})

test('stream time is saved: a restart gives the same verdicts (R14)', async () => {
  const rig = await deduped(100)
  rig.pipe('in', 'k', 'a', 0)
  rig.pipe('in', 'k', 'mover', 101)
  rig.restart()
  rig.pipe('in', 'k', 'a', 5) // stream time is 101: no repeat any more
  expect(rig.take()).toEqual(['k a@0', 'k mover@101', 'k a@5'])
})

test('a record that throws further down was never accepted (R15)', async () => {
  let fails = true
  const nodes = [
    source('in'),
    operator('dedupe', 'once', 'in', { store: 'seen', by: (value) => value, withinMs: 100 }),
    operator('peek', 'refuse', 'once', {
      action: () => {
        if (fails) throw new RangeError('no')
      },
      ends: false,
    }),
    sink('refuse'),
  ]
  const rig = await Rig.open(nodes, [dedupeStore('seen', 100)])
  expect(() => rig.pipe('in', 'k', 'a', 99)).toThrow('no')
  fails = false
  rig.pipe('in', 'k', 'a', 1)
  expect(rig.take()).toEqual(['k a@1'])
})

test('a tick lets ids grow old', async () => {
  const rig = await deduped(100)
  rig.pipe('in', 'k', 'a', 0)
  rig.tick(101)
  rig.pipe('in', 'k', 'a', 1)
  expect(rig.take()).toEqual(['k a@0', 'k a@1'])
})
