import { expect, test } from 'bun:test'
import type { KeyValueStore } from '../processor.ts'
import { count, operator, sink, source, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

test('each pair has gone all the way down before the generator goes on', async () => {
  const trace: unknown[] = []
  const nodes = [
    source('in'),
    operator('process', 'p', 'in', {
      keepsKey: false,
      supplier: () => ({
        *processPairs(value, key) {
          for (const n of [1, 2]) {
            trace.push(`yield ${n}`)
            yield [`${key}${n}`, value] as const
          }
          trace.push('end')
        },
      }),
    }),
    operator('peek', 'see', 'p', { action: (_, key) => void trace.push(key), ends: false }),
    sink('see'),
  ]
  const rig = await Rig.open(nodes)
  rig.pipe('in', 'k', 'v', 3)
  expect(trace).toEqual(['yield 1', 'k1', 'yield 2', 'k2', 'end'])
  expect(rig.take()).toEqual(['k1 v@3', 'k2 v@3'])
})

test('a put after a yield carries this record’s time, whatever went on downstream', async () => {
  let seen: KeyValueStore<unknown, string> | undefined
  const nodes = [
    source('in'),
    operator('process', 'p', 'in', {
      stores: ['s'],
      keepsKey: false,
      supplier: () => ({
        init: (context) => {
          seen = context.store('s') as KeyValueStore<unknown, string>
        },
        *processPairs(value, key) {
          yield [key, value] as const
          seen?.put(key, 'x')
        },
      }),
    }),
    operator('aggregate', 'counts', 'p', { store: 'c', adder: count, sendsOldValues: false }),
    operator('to-stream', 'ts', 'counts', {}),
    operator('process', 'last', 'ts', {
      keepsKey: true,
      supplier: () => ({ processValue: (value) => value }),
    }),
    sink('last'),
  ]
  const rig = await Rig.open(nodes, [tableStore('s'), tableStore('c')])
  rig.pipe('in', 'k', 'v', 9)
  rig.pipe('in', 'k', 'v', 5)
  expect(rig.take()).toEqual(['k 1@9', 'k 2@9'])
  expect(seen?.getTimed('k')?.timestampMs).toBe(5)
})
