import { expect, test } from 'bun:test'
import type { KeyValueStore } from '../processor.ts'
import { chain, operator, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('what the function returns goes on under the same key; undefined drops, null is a tombstone', async () => {
  const answers: Record<string, unknown> = { drop: undefined, delete: null, keep: 'kept' }
  const node = operator('process', 'p', 'in', {
    keepsKey: true,
    supplier: () => ({ processValue: (value) => answers[String(value)] }),
  })
  const rig = await Rig.open(chain(node))
  for (const [at, value] of ['drop', 'delete', 'keep'].entries()) rig.pipe('in', 'k', value, at)
  expect(rig.take()).toEqual(['k null@1', 'k kept@2'])
  expect(rig.dropped).toEqual([])
})

test('stores are taken once, in init, and carry the time of the record in hand', async () => {
  let closed = 0
  const node = operator('process', 'p', 'in', {
    stores: ['s'],
    keepsKey: true,
    supplier: () => {
      let seen: KeyValueStore<unknown, number> | undefined
      return {
        init: (context) => {
          seen = context.store('s') as KeyValueStore<unknown, number>
        },
        processValue: (_, key) => {
          const before = seen?.getTimed(key)
          seen?.put(key, (before?.value ?? 0) + 1)
          return `${before?.value ?? 0}@${before?.timestampMs ?? -1}`
        },
        close: () => {
          closed += 1
        },
      }
    },
  })
  const rig = await Rig.open(chain(node), [tableStore('s')])
  rig.pipe('in', 'k', 'v', 7)
  rig.pipe('in', 'k', 'v', 9)
  rig.pipeline.close()
  expect(rig.take()).toEqual(['k 0@-1@7', 'k 1@7@9'])
  expect(closed).toBe(1)
})
