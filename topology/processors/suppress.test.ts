import { describe, expect, test } from 'bun:test'
import type { SuppressBuffer } from '#state'
import { TopologyError } from '../topology.ts'
import {
  count,
  operator,
  sink,
  source,
  suppressStore,
  tableStore,
  windowStore,
} from '../test-helper/nodes.ts'
import { Rig } from '../test-helper/rig.ts'
import type { NodeOf } from '../wiring.ts'

type Settings = Partial<
  Pick<NodeOf<'suppress'>, 'durationMs' | 'recordsMax' | 'bytesMax' | 'whenFull'>
>

/** Source table → suppress → stream. */
function limited(settings: Settings, seen: unknown[] = []) {
  const nodes = [
    source('in'),
    operator('table-source', 't', 'in', { store: 's', sendsOldValues: true }),
    suppress('t', 'time-limit', settings),
    operator('table-map-values', 'see', 'hold', {
      mapper: (value) => (seen.push(value), value),
      store: undefined,
      sendsOldValues: true,
    }),
    operator('to-stream', 'ts', 'see', {}),
    sink('ts'),
  ]
  return Rig.open(nodes, [tableStore('s'), suppressStore('b')])
}

/** Windowed count → suppress until close → stream. */
function closing(windows: { sizeMs: number; graceMs: number }, settings: Settings = {}) {
  const { sizeMs, graceMs } = windows
  const nodes = [
    source('in'),
    operator('window-aggregate', 'agg', 'in', {
      store: 'w',
      adder: { ...count, add: (sum, value) => (value === 'clear' ? null : (sum as number) + 1) },
      windows: { sizeMs, advanceMs: sizeMs, graceMs },
      emit: 'each-update',
      sendsOldValues: true,
    }),
    suppress('agg', 'window-closes', { durationMs: graceMs, ...settings }),
    operator('to-stream', 'ts', 'hold', {}),
    sink('ts'),
  ]
  return Rig.open(nodes, [windowStore('w', windows), suppressStore('b')])
}

function suppress(parent: string, until: NodeOf<'suppress'>['until'], settings: Settings) {
  return operator('suppress', 'hold', parent, {
    store: 'b',
    until,
    durationMs: 0,
    recordsMax: undefined,
    bytesMax: undefined,
    whenFull: 'emit-early',
    ...settings,
  })
}

describe('until a time limit', () => {
  /** U-a, from the counts on: time, key, count, what is forwarded. */
  const U_A = [
    [0, 'v1', 1, []],
    [1, 'v1', 0, []],
    [1, 'v2', 1, []],
    [2, 'v1', 1, ['v1 1@2']],
    [3, 'tick', 1, ['v2 1@1']],
  ] as const

  test('U-a: a key keeps its place in the queue while its changes replace each other (U1)', async () => {
    const rig = await limited({ durationMs: 2 })
    for (const [at, key, value, forwarded] of U_A) {
      rig.pipe('in', key, value, at)
      expect(rig.take()).toEqual([...forwarded])
    }
  })

  test('with no time to wait a change leaves at once (U2)', async () => {
    const rig = await limited({ durationMs: 0 })
    rig.pipe('in', 'a', 'x', 1)
    expect(rig.take()).toEqual(['a x@1'])
  })

  test('tombstones are forwarded (U3)', async () => {
    const rig = await limited({ durationMs: 0 })
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('in', 'a', null, 2)
    expect(rig.take()).toEqual(['a x@1', 'a null@2'])
  })

  test('old and new value are the latest change’s (U5)', async () => {
    const seen: unknown[] = []
    const rig = await limited({ durationMs: 2 }, seen)
    for (const [at, value] of ['x', 'y', 'z'].entries()) rig.pipe('in', 'a', value, at)
    expect(rig.take()).toEqual(['a z@2'])
    expect(seen).toEqual(['z', 'y'])
  })

  test('a change leaves with the headers and place that it came with (U5)', async () => {
    const places: unknown[] = []
    const nodes = [
      source('in'),
      operator('table-source', 't', 'in', { store: 's', sendsOldValues: true }),
      suppress('t', 'time-limit', { durationMs: 2 }),
      operator('to-stream', 'ts', 'hold', {}),
      operator('process', 'p', 'ts', {
        keepsKey: true,
        supplier: () => {
          let metadata = (): unknown => undefined
          return {
            init: (context) => {
              metadata = () => ({ ...context.metadata })
            },
            processValue: (value) => (places.push(metadata()), value),
          }
        },
      }),
      sink('p'),
    ]
    const rig = await Rig.open(nodes, [tableStore('s'), suppressStore('b')])
    const trace = [['trace', Uint8Array.of(1)]] as const
    rig.pipe('in', 'a', 'x', 0, trace)
    rig.pipe('in', 'b', 'y', 2)
    expect(rig.outputs).toEqual([
      { topic: 'out', key: 'a', value: 'x', timestampMs: 0, headers: trace },
    ])
    expect(places).toEqual([{ topic: 'in', partition: 0, offset: 0 }])
  })

  test('too many records: the oldest leave early (U4)', async () => {
    const rig = await limited({ durationMs: 100, recordsMax: 1 })
    rig.pipe('in', 'a', 'x', 1)
    rig.pipe('in', 'b', 'y', 2)
    rig.pipe('in', 'b', 'z', 3)
    rig.pipe('in', 'c', 'v', 4)
    expect(rig.take()).toEqual(['a x@1', 'b z@3'])
  })

  test('too many bytes: the oldest leave early (U4)', async () => {
    const measuring = await limited({ durationMs: 100 })
    measuring.pipe('in', 'a', 'x', 1)
    const { bytes } = measuring.store('b') as SuppressBuffer
    const rig = await limited({ durationMs: 100, bytesMax: 2 * bytes })
    for (const [at, key] of ['a', 'b', 'c'].entries()) rig.pipe('in', key, 'x', at)
    expect(rig.take()).toEqual(['a x@0'])
  })

  test('too many records: or everything stops (U4)', async () => {
    const rig = await limited({ durationMs: 100, recordsMax: 1, whenFull: 'shut-down' })
    rig.pipe('in', 'a', 'x', 1)
    const second = (): void => rig.pipe('in', 'b', 'y', 2)
    expect(second).toThrow(TopologyError)
    expect(second).toThrow('hold buffer exceeded its max capacity. Currently [2/1] records and [')
  })

  test('a record that throws has buffered and taken nothing (R15)', async () => {
    const rig = await limited({ durationMs: 100, recordsMax: 1, whenFull: 'shut-down' })
    rig.pipe('in', 'a', 'x', 1)
    expect(() => rig.pipe('in', 'b', 'y', 50)).toThrow()
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(101)
    rig.tick(101)
    expect(rig.take()).toEqual(['a x@1'])
  })
})

describe('until windows close', () => {
  test('W-c behind suppress: one final result a window', async () => {
    const rig = await closing({ sizeMs: 2, graceMs: 1 })
    const forwarded = [0, 1, 2, 1, 0, 5, 0].map((at) => {
      rig.pipe('in', 'k', 'x', at)
      return rig.take()
    })
    expect(forwarded).toEqual([[], [], [], [], [], ['k [0,2) 4@1', 'k [2,4) 1@2'], []])
  })

  test('a window whose result was deleted has none (U3)', async () => {
    const rig = await closing({ sizeMs: 10, graceMs: 0 })
    rig.pipe('in', 'k', 'x', 1)
    rig.pipe('in', 'k', 'clear', 2)
    rig.pipe('in', 'k', 'x', 10)
    expect(rig.take()).toEqual([])
  })

  test('more than it may hold stops the task: a final result cannot be early (U4)', async () => {
    const rig = await closing({ sizeMs: 10, graceMs: 0 }, { recordsMax: 1, whenFull: 'shut-down' })
    rig.pipe('in', 'a', 'x', 1)
    expect(() => rig.pipe('in', 'b', 'x', 2)).toThrow(TopologyError)
  })

  test('says when it has something to close; a tick closes it, and late it stays after a restart', async () => {
    const rig = await closing({ sizeMs: 10, graceMs: 5 })
    rig.pipe('in', 'k', 'x', 1)
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(15)
    rig.tick(14)
    expect(rig.take()).toEqual([])
    rig.tick(15)
    expect(rig.take()).toEqual(['k [0,10) 1@1'])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
    rig.restart()
    rig.pipe('in', 'k', 'x', 2)
    expect(rig.dropped).toEqual(['agg: late'])
    expect(rig.take()).toEqual([])
  })
})
