import { describe, expect, test } from 'bun:test'
import type { Adder, TimeWindowsSpec, TopologyNode } from '../node.ts'
import type { NodeOf } from '../wiring.ts'
import {
  concat,
  count,
  operator,
  reduceConcat,
  sink,
  source,
  windowStore,
} from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'

interface Options {
  readonly adder?: Adder
  readonly emit?: NodeOf<'window-aggregate'>['emit']
  readonly sendsOldValues?: boolean
  readonly below?: readonly TopologyNode[]
}

function windowed(windows: TimeWindowsSpec, options: Options = {}) {
  const { adder = count, emit = 'each-update', sendsOldValues = false, below = [] } = options
  const nodes = [
    source('in'),
    operator('window-aggregate', 'agg', 'in', { store: 'w', adder, windows, emit, sendsOldValues }),
    ...below,
    operator('to-stream', 'ts', below.at(-1)?.name ?? 'agg', {}),
    sink('ts'),
  ]
  return Rig.open(nodes, [windowStore('w', windows)])
}

const hopping = (graceMs: number): TimeWindowsSpec => ({ sizeMs: 10, advanceMs: 5, graceMs })
const tumbling = (sizeMs: number, graceMs: number): TimeWindowsSpec => ({
  sizeMs,
  advanceMs: sizeMs,
  graceMs,
})

/** Windows of size 10 every 5; each row: time, key, value, what is forwarded. */
const W_A = [
  [0, 'a', '1', ['a [0,10) 0+1@0']],
  [1, 'b', '2', ['b [0,10) 0+2@1']],
  [4, 'a', '1', ['a [0,10) 0+1+1@4']],
  [5, 'a', '1', ['a [0,10) 0+1+1+1@5', 'a [5,15) 0+1@5']],
  [6, 'b', '2', ['b [0,10) 0+2+2@6', 'b [5,15) 0+2@6']],
  [8, 'b', '2', ['b [0,10) 0+2+2+2@8', 'b [5,15) 0+2+2@8']],
  [10, 'a', '1', ['a [5,15) 0+1+1@10', 'a [10,20) 0+1@10']],
  [13, 'b', '2', ['b [5,15) 0+2+2+2@13', 'b [10,20) 0+2@13']],
  [3, 'b', '1', ['b [0,10) 0+2+2+2+1@8']],
  [9, 'b', '3', ['b [0,10) 0+2+2+2+1+3@9', 'b [5,15) 0+2+2+2+3@13']],
] as const

/** Tumbling windows of 2, grace 1, one key: time, what is forwarded. */
const W_C = [
  [0, ['k [0,2) 1@0']],
  [1, ['k [0,2) 2@1']],
  [2, ['k [2,4) 1@2']],
  [1, ['k [0,2) 3@1']],
  [0, ['k [0,2) 4@1']],
  [5, ['k [4,6) 1@5']],
  [0, []],
] as const

describe('each update', () => {
  test('W-a: is forwarded by ascending start (W6), at the window’s latest time (R5)', async () => {
    const rig = await windowed(hopping(100), { adder: concat })
    for (const [at, key, value, forwarded] of W_A) {
      rig.pipe('in', key, value, at)
      expect(rig.take()).toEqual(forwarded)
    }
  })

  test('W6: every window that holds the time takes the record, whatever time came before', async () => {
    const windows = { sizeMs: 10, advanceMs: 3, graceMs: 1_000 }
    const rig = await windowed(windows)
    let at = 0
    for (let n = 0; n < 200; n++) {
      at = (at * 31 + 17) % 97
      rig.pipe('in', 'k', 'x', at)
      const starts = rig.take().map((text) => Number(/\[(\d+),/.exec(text)?.[1]))
      const expected = Array.from({ length: 40 }, (_, i) => i * windows.advanceMs).filter(
        (startMs) => startMs <= at && at < startMs + windows.sizeMs,
      )
      expect(starts).toEqual(expected)
    }
  })

  test('W-b: windows are refused one by one, and each refusal is told (W2, W3)', async () => {
    const rig = await windowed(hopping(90))
    rig.pipe('in', 'k', 'x', 100)
    rig.take()
    for (const at of [0, 1, 2, 3, 4, 5, 6]) rig.pipe('in', 'k', 'x', at)
    expect(rig.take()).toEqual(['k [5,15) 1@5', 'k [5,15) 2@6'])
    expect(rig.dropped).toEqual(Array(7).fill('agg: late'))
    expect(rig.late).toEqual(
      Array.from({ length: 7 }, () => ({
        node: 'agg',
        window: { startMs: 0, endMs: 10 },
        key: 'k',
      })),
    )
    rig.pipe('in', 'k', 'x', 105)
    rig.pipe('in', 'k', 'x', 106)
    expect(rig.take()).toHaveLength(4)
    expect(rig.dropped).toHaveLength(7)
  })

  test('W-c: a window takes records until stream time reaches its end plus grace', async () => {
    const rig = await windowed(tumbling(2, 1))
    for (const [at, forwarded] of W_C) {
      rig.pipe('in', 'k', 'x', at)
      expect(rig.take()).toEqual([...forwarded])
    }
    expect(rig.dropped).toEqual(['agg: late'])
  })

  test('a null key is dropped and does not move stream time, a null value is counted (W4)', async () => {
    const rig = await windowed(tumbling(10, 0))
    rig.pipe('in', null, 'x', 99)
    rig.pipe('in', 'k', null, 1)
    expect(rig.take()).toEqual(['k [0,10) 1@1'])
    expect(rig.dropped).toEqual(['agg: null key'])
  })

  test('an aggregate of null deletes, forwards a tombstone, and the next begins anew (W5)', async () => {
    const adder: Adder = {
      ...concat,
      add: (aggregate, value, key) => (value === 'x' ? null : concat.add(aggregate, value, key)),
    }
    const rig = await windowed(tumbling(10, 0), { adder })
    for (const [at, value] of ['1', 'x', '2'].entries()) rig.pipe('in', 'k', value, at)
    expect(rig.take()).toEqual(['k [0,10) 0+1@0', 'k [0,10) null@1', 'k [0,10) 0+2@2'])
  })

  test('reduce takes the first value of a window itself', async () => {
    const rig = await windowed(tumbling(10, 0), { adder: reduceConcat })
    for (const at of [1, 2, 11]) rig.pipe('in', 'k', `v${at}`, at)
    expect(rig.take()).toEqual(['k [0,10) v1@1', 'k [0,10) v1+v2@2', 'k [10,20) v11@11'])
  })

  test('old values go along where something needs them: the initial one first', async () => {
    const seen: unknown[] = []
    const see = operator('table-map-values', 'see', 'agg', {
      mapper: (value) => (seen.push(value), value),
      store: undefined,
      sendsOldValues: true,
    })
    const rig = await windowed(tumbling(10, 0), { sendsOldValues: true, below: [see] })
    rig.pipe('in', 'k', 'x', 1)
    rig.pipe('in', 'k', 'x', 2)
    expect(seen).toEqual([1, 0, 2, 1])
  })

  test('stream time is the node’s own, is saved, and survives a restart (W1)', async () => {
    const rig = await windowed(tumbling(10, 0))
    rig.pipe('in', 'k', 'x', 25)
    rig.restart()
    rig.pipe('in', 'k', 'x', 19)
    rig.pipe('in', 'k', 'x', 20)
    expect(rig.take()).toEqual(['k [20,30) 1@25', 'k [20,30) 2@25'])
    expect(rig.dropped).toEqual(['agg: late'])
  })

  test('a record that throws has not moved stream time (R15)', async () => {
    const adder: Adder = {
      ...count,
      add(aggregate, value, key) {
        if (value === 'bad') throw new RangeError('bad')
        return count.add(aggregate, value, key)
      },
    }
    const rig = await windowed(tumbling(10, 0), { adder })
    expect(() => rig.pipe('in', 'k', 'bad', 99)).toThrow('bad')
    rig.pipe('in', 'k', 'x', 1)
    expect(rig.take()).toEqual(['k [0,10) 1@1'])
  })
})

describe('on close', () => {
  const closing = (windows: TimeWindowsSpec, adder: Adder = concat) =>
    windowed(windows, { adder, emit: 'on-close' })

  test('C4: windows that have closed are forwarded in time order, and nothing twice', async () => {
    const rig = await closing(hopping(5))
    rig.pipe('in', 'a', '1', 0)
    rig.pipe('in', 'b', '2', 5)
    expect(rig.take()).toEqual([])
    rig.pipe('in', 'c', '3', 15)
    expect(rig.take()).toEqual(['a [0,10) 0+1@0', 'b [0,10) 0+2@5'])
    rig.restart()
    rig.pipe('in', 'd', '4', 15)
    expect(rig.take()).toEqual([])
    rig.pipe('in', 'd', '5', 25)
    expect(rig.take()).toEqual(['b [5,15) 0+2@5', 'c [10,20) 0+3@15', 'd [10,20) 0+4@15'])
  })

  test('a jump of stream time loses nothing, whatever the store’s retention (golden 8)', async () => {
    const rig = await closing(tumbling(10, 0))
    for (const at of [1, 11]) rig.pipe('in', 'a', 'x', at)
    rig.take()
    rig.pipe('in', 'b', 'x', 21)
    rig.pipe('in', 'b', 'x', 1_000_000_000)
    expect(rig.take()).toEqual(['a [10,20) 0+x@11', 'b [20,30) 0+x@21'])
  })

  test('a result has the triggering record’s headers, its own latest time, and no old value', async () => {
    const rig = await closing(tumbling(10, 0))
    rig.pipe('in', 'a', '1', 3, [['h', null]])
    rig.pipe('in', 'a', '2', 1)
    rig.pipe('in', 'b', '3', 10, [['closer', null]])
    expect(rig.outputs).toHaveLength(1)
    expect(rig.outputs[0]).toMatchObject({ timestampMs: 3, headers: [['closer', null]] })
  })

  test('within a window results come by key bytes (C3)', async () => {
    const rig = await closing(tumbling(10, 0))
    for (const key of ['b', 'c', 'a']) rig.pipe('in', key, '1', 1)
    rig.pipe('in', 'z', '1', 10)
    expect(rig.take()).toEqual(['a [0,10) 0+1@1', 'b [0,10) 0+1@1', 'c [0,10) 0+1@1'])
  })

  test('late records are told, and their window is not emitted again', async () => {
    const rig = await closing(tumbling(10, 2), count)
    for (const at of [1, 11, 2, 12, 3]) rig.pipe('in', 'a', 'x', at)
    expect(rig.take()).toEqual(['a [0,10) 2@2'])
    expect(rig.late).toEqual([{ node: 'agg', window: { startMs: 0, endMs: 10 }, key: 'a' }])
  })

  test('what was emitted stays closed after a restart with a longer grace', async () => {
    const rig = await closing(tumbling(10, 0), count)
    for (const at of [1, 10]) rig.pipe('in', 'a', 'x', at)
    rig.take()
    const times = rig.pipeline.savedTimes()
    const longer = await closing(tumbling(10, 100), count)
    longer.pipeline.restoreTimes(times)
    longer.pipe('in', 'a', 'x', 2)
    expect(longer.dropped).toEqual(['agg: late'])
  })

  test('a record that throws while windows close closes none (R15)', async () => {
    let fails = true
    const refuse = operator('table-map-values', 'refuse', 'agg', {
      mapper: (value) => {
        if (fails) throw new RangeError('no')
        return value
      },
      store: undefined,
      sendsOldValues: false,
    })
    const windows = tumbling(10, 0)
    const rig = await windowed(windows, { emit: 'on-close', below: [refuse] })
    rig.pipe('in', 'a', 'x', 1)
    expect(() => rig.pipe('in', 'a', 'x', 10)).toThrow('no')
    rig.pipe('in', 'a', 'x', 2)
    fails = false
    rig.pipe('in', 'b', 'x', 10)
    expect(rig.take()).toEqual(['a [0,10) 2@2'])
  })

  test('says when it has something to close, and a tick closes it', async () => {
    const rig = await closing(tumbling(10, 5), count)
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
    rig.pipe('in', 'a', 'x', 12)
    rig.pipe('in', 'a', 'x', 9)
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(15)
    rig.tick(14)
    expect(rig.take()).toEqual([])
    rig.tick(15)
    expect(rig.take()).toEqual(['a [0,10) 1@9'])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(25)
    rig.tick(1_000)
    expect(rig.take()).toEqual(['a [10,20) 1@12'])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
    expect(rig.dropped).toEqual([])
    rig.restart()
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
    rig.pipe('in', 'a', 'x', 984)
    expect(rig.dropped).toEqual(['agg: late'])
  })

  test('where every update is forwarded nothing waits for a tick', async () => {
    const rig = await windowed(tumbling(10, 0))
    rig.pipe('in', 'a', 'x', 1)
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
  })
})
