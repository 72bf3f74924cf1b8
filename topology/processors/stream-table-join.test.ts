import { describe, expect, test } from 'bun:test'
import { TopologyError } from '../topology.ts'
import { count, operator, sink, source, suppressStore, tableStore } from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'
import type { TopologyNode } from '../node.ts'

const joiner = (left: unknown, right: unknown): string => `${left}+${right}`

function joined(left: boolean, table = 't', between: readonly TopologyNode[] = []) {
  const nodes = [
    source('in'),
    source('table'),
    operator('table-source', 't', 'table', { store: 's', sendsOldValues: true }),
    ...between,
    operator('stream-table-join', 'j', 'in', { table, joiner, left }),
    sink('j'),
  ]
  return Rig.open(nodes, [tableStore('s'), suppressStore('b')])
}

describe('inner join (ST1)', () => {
  test('a stream record meets what the table holds at that moment, at the stream’s time', async () => {
    const rig = await joined(false)
    rig.pipe('in', 'a', 'early', 1)
    rig.pipe('table', 'a', 'T1', 9)
    rig.pipe('in', 'a', 'x', 2)
    rig.pipe('table', 'a', 'T2', 3)
    rig.pipe('in', 'a', 'y', 4)
    rig.pipe('table', 'a', null, 5)
    rig.pipe('in', 'a', 'z', 6)
    expect(rig.take()).toEqual(['a x+T1@2', 'a y+T2@4'])
  })

  test('null keys and null values are dropped and counted, a miss is not', async () => {
    const rig = await joined(false)
    rig.pipe('in', null, 'x', 1)
    rig.pipe('in', 'a', null, 2)
    rig.pipe('in', 'a', 'x', 3)
    expect(rig.take()).toEqual([])
    expect(rig.dropped).toEqual(['j: null key or value', 'j: null key or value'])
  })
})

describe('left join (ST1)', () => {
  test('a miss, or a null key with a value, joins with nothing', async () => {
    const rig = await joined(true)
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('in', null, 'y', 2)
    rig.pipe('in', null, null, 3)
    rig.pipe('in', 'a', null, 4)
    expect(rig.take()).toEqual(['a x+null@1', 'null y+null@2'])
    expect(rig.dropped).toHaveLength(2)
  })
})

describe('the table’s value', () => {
  const filter = operator('table-filter', 'f', 't', {
    predicate: (value) => value !== 'hidden',
    keep: true,
    store: undefined,
    sendsOldValues: false,
  })
  const map = operator('table-map-values', 'm', 'f', {
    mapper: (value) => `<${value}>`,
    store: undefined,
    sendsOldValues: false,
  })

  test('is computed through filters and mappers that keep no store', async () => {
    const rig = await joined(true, 'm', [filter, map])
    rig.pipe('table', 'a', 'T', 1)
    rig.pipe('table', 'b', 'hidden', 2)
    rig.pipe('in', 'a', 'x', 3)
    rig.pipe('in', 'b', 'x', 4)
    expect(rig.take()).toEqual(['a x+<T>@3', 'b x+null@4'])
  })

  test('is the one from before buffering while suppress holds a change back (U5)', async () => {
    const suppress = operator('suppress', 'hold', 't', {
      store: 'b',
      until: 'time-limit',
      durationMs: 10,
      recordsMax: undefined,
      bytesMax: undefined,
      whenFull: 'emit-early',
    })
    const rig = await joined(true, 'hold', [suppress])
    rig.pipe('table', 'a', 'T1', 0)
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('table', 'b', 'other', 10)
    rig.pipe('in', 'a', 'y', 11)
    rig.pipe('table', 'a', 'T2', 12)
    rig.pipe('in', 'a', 'z', 13)
    expect(rig.take()).toEqual(['a x+null@1', 'a y+T1@11', 'a z+T1@13'])
  })

  test('of an aggregate is its store’s', async () => {
    const aggregate = operator('aggregate', 'counts', 'table', {
      store: 's',
      adder: count,
      sendsOldValues: false,
    })
    const join = operator('stream-table-join', 'j', 'in', { table: 'counts', joiner, left: true })
    const rig = await Rig.open(
      [source('in'), source('table'), aggregate, join, sink('j')],
      [tableStore('s')],
    )
    rig.pipe('table', 'a', 'x', 1)
    rig.pipe('in', 'a', 'v', 2)
    expect(rig.take()).toEqual(['a v+1@2'])
  })

  test('must be kept somewhere', async () => {
    const nodes = [
      source('in'),
      operator('table-source', 't', 'in', { store: undefined, sendsOldValues: false }),
      operator('stream-table-join', 'j', 'in', { table: 't', joiner, left: true }),
    ]
    await expect(Rig.open(nodes)).rejects.toThrow(TopologyError)
  })
})
