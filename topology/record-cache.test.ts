import { describe, expect, test } from 'bun:test'
import type { RecordHeaders } from '#log'
import type { Adder, TopologyNode } from './node.ts'
import {
  chain,
  concat,
  count,
  operator,
  reduceConcat,
  sink,
  source,
  tableStore,
  windowStore,
} from './test-helper/nodes.ts'
import { line, Rig } from './test-helper/rig.ts'

const emit = 'per-commit'

/** A key that comes more than once, between two commits. */
function counting(adder: Adder, sendsOldValues = false): Promise<Rig> {
  const node = operator('aggregate', 'agg', 'in', { store: 's', adder, sendsOldValues, emit })
  return Rig.open(chain(node), [tableStore('s')])
}

function flush(rig: Rig): readonly string[] {
  expect(rig.take()).toEqual([])
  rig.whole(() => rig.pipeline.flush())
  return rig.take()
}

/** What a table tells: old value, new value. */
function telling(node: TopologyNode): readonly [readonly TopologyNode[], string[]] {
  const told: string[] = []
  const tell = operator('table-map-values', 'tell', node.name, {
    mapper: (value, key) => {
      told.push(`${String(key)} ${String(value)}`)
      return value
    },
    store: undefined,
    sendsOldValues: true,
  })
  return [[source('in'), node, tell, sink('tell')], told]
}

describe('emit per commit', () => {
  test('sends the last value of a key once, in the order of last changes (X1, X2)', async () => {
    const rig = await counting(concat)
    for (const [at, key] of ['a', 'b', 'c', 'a', 'b'].entries()) rig.pipe('in', key, at, at)
    expect(rig.pipeline.holdsForwards).toBe(true)
    expect(flush(rig)).toEqual(['c 0+2@2', 'a 0+0+3@3', 'b 0+1+4@4'])
    expect(rig.pipeline.holdsForwards).toBe(false)
    expect(flush(rig)).toEqual([])
    rig.pipe('in', 'a', 5, 5)
    expect(flush(rig)).toEqual(['a 0+0+3+5@5'])
  })

  test('sends windows one by one', async () => {
    const windows = { sizeMs: 10, advanceMs: 5, graceMs: 100 }
    const node = operator('window-aggregate', 'agg', 'in', {
      store: 's',
      adder: count,
      windows,
      emit,
      sendsOldValues: false,
    })
    const rig = await Rig.open(chain(node), [windowStore('s', { sizeMs: 10, graceMs: 100 })])
    for (const at of [7, 8, 12]) rig.pipe('in', 'a', 'x', at)
    const shown = (start: number, n: number, at: number): string =>
      line({
        topic: 'out',
        key: { key: 'a', window: { startMs: start, endMs: start + 10 } },
        value: n,
        timestampMs: at,
        headers: [],
      })
    expect(flush(rig)).toEqual([shown(0, 2, 8), shown(5, 3, 12), shown(10, 1, 12)])
  })

  test('has the time, the place and the headers of the last change (X3)', async () => {
    const rig = await counting(concat)
    const headers: RecordHeaders = [['h', new Uint8Array([1])]]
    rig.pipe('in', 'a', 1, 30)
    rig.pipe('in', 'a', 2, 10, headers)
    rig.pipe('in', 'b', 1, 50)
    rig.whole(() => rig.pipeline.flush())
    // The aggregate's time is the latest (R5).
    expect(rig.outputs.map((output) => [line(output), output.headers])).toEqual([
      ['a 0+1+2@30', headers],
      ['b 0+1@50', []],
    ])
  })

  test('tells the value before the first change, and none of those in between', async () => {
    const node = operator('aggregate', 'agg', 'in', {
      store: 's',
      adder: reduceConcat,
      sendsOldValues: true,
      emit,
    })
    const [nodes, told] = telling(node)
    const rig = await Rig.open(nodes, [tableStore('s')])
    for (const [at, value] of ['1', '2'].entries()) rig.pipe('in', 'a', value, at)
    flush(rig)
    for (const [at, value] of ['3', '4'].entries()) rig.pipe('in', 'a', value, 2 + at)
    flush(rig)
    expect(told).toEqual(['a 1+2', 'a 1+2+3+4', 'a 1+2'])
  })

  test('sends nothing of a key that came and went; a deletion of one that was there goes out (X2)', async () => {
    const node = operator('table-source', 'table', 'in', {
      store: 's',
      sendsOldValues: false,
      emit,
    })
    const rig = await Rig.open(chain(node), [tableStore('s')])
    rig.pipe('in', 'a', '1', 1)
    rig.pipe('in', 'a', null, 2)
    rig.pipe('in', 'b', '1', 3)
    rig.pipe('in', 'unknown', null, 4)
    expect(flush(rig)).toEqual(['b 1@3'])
    rig.pipe('in', 'b', null, 5)
    expect(flush(rig)).toEqual(['b null@5'])
  })

  test('keys that are no strings are told apart by their bytes', async () => {
    const rig = await counting(count)
    for (const key of [{ id: 1 }, { id: 2 }, { id: 1 }, '{"id":1}']) rig.pipe('in', key, 'x', 1)
    rig.whole(() => rig.pipeline.flush())
    expect(rig.outputs.map(({ key, value }) => [key, value])).toEqual([
      [{ id: 2 }, 1],
      [{ id: 1 }, 2],
      ['{"id":1}', 1],
    ])
  })

  test('caches are emptied in the order of their stores, one into the next (X5)', async () => {
    const nodes = [
      source('in'),
      operator('aggregate', 'one', 'in', {
        store: 's1',
        adder: count,
        sendsOldValues: false,
        emit,
      }),
      operator('aggregate', 'two', 'one', {
        store: 's2',
        adder: count,
        sendsOldValues: false,
        emit,
      }),
      sink('two'),
    ]
    const rig = await Rig.open(nodes, [tableStore('s1'), tableStore('s2')])
    for (const key of ['a', 'a', 'b', 'a']) rig.pipe('in', key, 'x', 1)
    expect(flush(rig)).toEqual(['b 1@1', 'a 1@1'])
  })

  test('sends what it holds before it holds more than it may (X4)', async () => {
    const rig = await counting(count)
    for (let n = 0; n < 50_000; n += 1) rig.pipe('in', `k${n}`, 'x', n)
    rig.pipe('in', 'k7', 'x', 60_000)
    expect(rig.outputs).toHaveLength(0)
    rig.pipe('in', 'one more', 'x', 60_001)
    expect(rig.outputs).toHaveLength(50_000)
    expect(line(rig.outputs.at(-1) as never)).toBe('k7 2@60000')
    rig.outputs.length = 0
    expect(flush(rig)).toEqual(['one more 1@60001'])
  })

  test('a record that throws has changed nothing of what is held (R15)', async () => {
    const nodes = [
      source('in'),
      operator('aggregate', 'agg', 'in', {
        store: 's',
        adder: concat,
        sendsOldValues: false,
        emit,
      }),
      sink('agg'),
      operator('peek', 'throws', 'in', {
        action: (value) => {
          if (value === 'bad') throw new RangeError('bad')
        },
        ends: true,
      }),
    ]
    const rig = await Rig.open(nodes, [tableStore('s')])
    rig.pipe('in', 'a', 1, 1)
    rig.pipe('in', 'b', 2, 2)
    expect(() => rig.pipe('in', 'a', 'bad', 3)).toThrow(RangeError)
    expect(() => rig.pipe('in', 'new', 'bad', 3)).toThrow(RangeError)
    expect(flush(rig)).toEqual(['a 0+1@1', 'b 0+2@2'])
  })

  test('a flush that throws leaves all of it held', async () => {
    let isBad = true
    const nodes = [
      source('in'),
      operator('aggregate', 'agg', 'in', { store: 's', adder: count, sendsOldValues: false, emit }),
      operator('peek', 'throws', 'agg', {
        action: (_, key) => {
          if (isBad && key === 'b') throw new RangeError('bad')
        },
        ends: false,
      }),
      sink('throws'),
    ]
    const rig = await Rig.open(nodes, [tableStore('s')])
    for (const key of ['a', 'b', 'c']) rig.pipe('in', key, 'x', 1)
    expect(() => rig.whole(() => rig.pipeline.flush())).toThrow(RangeError)
    isBad = false
    expect(flush(rig)).toEqual(['a 1@1', 'b 1@1', 'c 1@1'])
  })

  test('time that is told to what lies below comes after what is held', async () => {
    const windows = { sizeMs: 10, advanceMs: 10, graceMs: 0 }
    const nodes = [
      source('in'),
      operator('aggregate', 'agg', 'in', { store: 's', adder: count, sendsOldValues: false, emit }),
      operator('window-aggregate', 'closing', 'agg', {
        store: 'w',
        adder: count,
        windows,
        emit: 'on-close',
        sendsOldValues: false,
      }),
      sink('closing'),
    ]
    const stores = [tableStore('s'), windowStore('w', { sizeMs: 10, graceMs: 0 })]
    const rig = await Rig.open(nodes, stores)
    rig.pipe('in', 'a', 'x', 5)
    rig.tick(10)
    expect(rig.late).toEqual([])
    expect(rig.take()).toHaveLength(1)
  })
})
