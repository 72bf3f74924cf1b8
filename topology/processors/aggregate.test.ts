import { describe, expect, test } from 'bun:test'
import type { Adder } from '../node.ts'
import {
  chain,
  concat,
  count,
  operator,
  reduceConcat,
  sink,
  source,
  tableStore,
} from '../test-helper/nodes.ts'
import { line, Rig } from '../test-helper/rig.ts'

function counting(adder: Adder, sendsOldValues = false) {
  const node = operator('aggregate', 'agg', 'in', { store: 's', adder, sendsOldValues })
  return Rig.open(chain(node), [tableStore('s')])
}

test('each update is forwarded, at the later of the record’s and the aggregate’s time (R5)', async () => {
  const rig = await counting(concat)
  rig.pipe('in', 'a', '1', 10)
  rig.pipe('in', 'b', '2', 15)
  rig.pipe('in', 'a', '3', 5)
  rig.pipe('in', 'a', '4', 20)
  expect(rig.take()).toEqual(['a 0+1@10', 'b 0+2@15', 'a 0+1+3@10', 'a 0+1+3+4@20'])
})

test('reduce takes the first value itself', async () => {
  const rig = await counting(reduceConcat)
  rig.pipe('in', 'a', '1', 1)
  rig.pipe('in', 'a', '2', 2)
  expect(rig.take()).toEqual(['a 1@1', 'a 1+2@2'])
})

describe('without windows', () => {
  test('a null key or a null value is dropped and counted (W4)', async () => {
    const rig = await counting(count)
    rig.pipe('in', null, 'x', 1)
    rig.pipe('in', 'a', null, 2)
    rig.pipe('in', 'a', 'x', 3)
    expect(rig.take()).toEqual(['a 1@3'])
    expect(rig.dropped).toEqual(['agg: null key or value', 'agg: null key or value'])
  })

  test('an aggregate of null deletes, forwards a tombstone, and the next begins anew (W5)', async () => {
    const concatOrNull: Adder = {
      ...concat,
      add: (aggregate, value, key) => (value === 'x' ? null : concat.add(aggregate, value, key)),
    }
    const rig = await counting(concatOrNull)
    for (const [at, value] of ['1', 'x', '2'].entries()) rig.pipe('in', 'a', value, at)
    expect(rig.take()).toEqual(['a 0+1@0', 'a null@1', 'a 0+2@2'])
  })

  test('old values go along where something needs them: the initial one first, as in Kafka Streams', async () => {
    const seen: unknown[] = []
    const nodes = [
      source('in'),
      operator('aggregate', 'agg', 'in', { store: 's', adder: count, sendsOldValues: true }),
      operator('table-map-values', 'm', 'agg', {
        mapper: (value) => (seen.push(value), value),
        store: undefined,
        sendsOldValues: true,
      }),
      sink('m'),
    ]
    const rig = await Rig.open(nodes, [tableStore('s')])
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('in', 'a', 'x', 2)
    expect(seen).toEqual([1, 0, 2, 1])
  })
})

test('a record that throws leaves the aggregate as it was (R15)', async () => {
  const throwing: Adder = {
    ...concat,
    add(aggregate, value, key) {
      if (value === 'bad') throw new RangeError('bad')
      return concat.add(aggregate, value, key)
    },
  }
  const nodes = [
    source('in'),
    operator('aggregate', 'first', 'in', { store: 's', adder: concat, sendsOldValues: false }),
    operator('to-stream', 'ts', 'first', {}),
    operator('aggregate', 'second', 'in', { store: 't', adder: throwing, sendsOldValues: false }),
    sink(['ts', 'second']),
  ]
  const rig = await Rig.open(nodes, [tableStore('s'), tableStore('t')])
  rig.pipe('in', 'a', '1', 1)
  expect(() => rig.pipe('in', 'a', 'bad', 2)).toThrow('bad')
  rig.pipe('in', 'a', '2', 3)
  expect(rig.outputs.map(line)).toEqual(['a 0+1@1', 'a 0+1@1', 'a 0+1+2@3', 'a 0+1+2@3'])
})
