/**
 * R12: below a repartition totals must be exact and nothing late, however the upstream tasks' work is interleaved.
 *
 * Invariant: a failure names its seed.
 */
import { describe, expect, test } from 'bun:test'
import type { TimeWindowsSpec } from './node.ts'
import { operator, sink, source, sum, suppressStore, windowStore } from './test-helper/nodes.ts'
import {
  type Downstream,
  downstreamNodes,
  GRACE_MS,
  run,
  TOPIC,
  type Upstream,
  upstreamNodes,
} from './test-helper/repartition-world.ts'
import { Rig } from './test-helper/rig.ts'
import type { Windowed } from './windowed.ts'

/** Window start → total, by whoever counted. */
type Totals = ReadonlyMap<string, number>

function startsOf(timestampMs: number, { sizeMs, advanceMs }: TimeWindowsSpec): readonly number[] {
  const starts: number[] = []
  for (let startMs = 0; startMs <= timestampMs; startMs += advanceMs) {
    if (timestampMs < startMs + sizeMs) starts.push(startMs)
  }
  return starts
}

function totalOf(
  records: readonly { key: string; value: number; timestampMs: number }[],
  windows: TimeWindowsSpec,
): Totals {
  const totals = new Map<string, number>()
  for (const { key, value, timestampMs } of records) {
    for (const startMs of startsOf(timestampMs, windows)) {
      const name = `${key}@${startMs}`
      totals.set(name, (totals.get(name) ?? 0) + value)
    }
  }
  return totals
}

function emitted(downstreams: readonly Downstream[]): Totals {
  const totals = new Map<string, number>()
  for (const { key, value } of downstreams.flatMap(({ rig }) => rig.outputs)) {
    const { key: inner, window } = key as Windowed<string>
    const name = `${inner}@${window.startMs}`
    expect([name, totals.has(name)]).toEqual([name, false])
    totals.set(name, value as number)
  }
  return totals
}

function sorted(totals: Totals): readonly (readonly [string, number])[] {
  return [...totals].sort(([a], [b]) => (a < b ? -1 : 1))
}

const resultsOf = (upstreams: readonly Upstream[]) =>
  upstreams.flatMap(({ results }) =>
    results.map(({ key, value, timestampMs }) => ({
      key: key as string,
      value: value as number,
      timestampMs,
    })),
  )

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed)
const MINUTES = { sizeMs: 100, advanceMs: 100, graceMs: 0 }

describe('at the slowest upstream, with equal windows and no grace', () => {
  test('totals are exact and nothing is late, though tasks run windows apart, fall idle and return', async () => {
    let apartMs = 0
    let timesIdle = 0
    for (const seed of SEEDS) {
      const { upstreams, downstreams, apartMs: apartHere } = await run(seed, MINUTES)
      const inputs = upstreams.flatMap((upstream) => upstream.inputs)
      const records = inputs.map(({ key, timestampMs }) => {
        return { key: key < 'c' ? 'low' : 'high', value: 1, timestampMs }
      })
      const late = [...upstreams, ...downstreams].flatMap(({ rig }) => rig.dropped)
      expect([seed, late]).toEqual([seed, []])
      expect([seed, sorted(emitted(downstreams))]).toEqual([
        seed,
        sorted(totalOf(records, MINUTES)),
      ])
      apartMs = Math.max(apartMs, apartHere)
      for (const upstream of upstreams) timesIdle += upstream.timesIdle
    }
    // The runs were hard: tasks were many windows apart, and left and returned often.
    expect(apartMs).toBeGreaterThan(5 * MINUTES.sizeMs)
    expect(timesIdle).toBeGreaterThan(10 * SEEDS.length)
  })

  test('the same for windows that overlap', async () => {
    const windows = { sizeMs: 100, advanceMs: 40, graceMs: 0 }
    for (const seed of SEEDS.slice(0, 15)) {
      const { upstreams, downstreams } = await run(seed, windows)
      const late = [...upstreams, ...downstreams].flatMap(({ rig }) => rig.dropped)
      expect([seed, late]).toEqual([seed, []])
      const expected = totalOf(resultsOf(upstreams), windows)
      expect([seed, sorted(emitted(downstreams))]).toEqual([seed, sorted(expected)])
    }
  })

  test('by records alone the same runs lose results: the rule is needed', async () => {
    let late = 0
    for (const seed of SEEDS.slice(0, 5)) {
      const { downstreams } = await run(seed, MINUTES, 'records')
      late += downstreams.flatMap(({ rig }) => rig.dropped).length
    }
    expect(late).toBeGreaterThan(0)
  })
})

describe('a sending node', () => {
  const stores = [windowStore('tally-store', { ...MINUTES, graceMs: GRACE_MS })]
  const open = () => Rig.open(upstreamNodes(MINUTES), stores)
  const said = (rig: Rig): readonly string[] =>
    rig.announced.splice(0).map(({ timeMs, idle }) => `${timeMs}${idle ? ' idle' : ''}`)

  test('announces after its results, once a window end has passed with its grace', async () => {
    const rig = await open()
    for (const at of [10, 149]) rig.pipe('in', 'a', 1, at)
    expect(said(rig)).toEqual([])
    rig.pipe('in', 'a', 1, 150)
    expect(rig.sent.map((each) => ('key' in each ? 'result' : `time ${each.timeMs}`))).toEqual([
      'result',
      'time 100',
    ])
    said(rig)
    rig.pipe('in', 'a', 1, 555)
    expect(said(rig)).toEqual(['500'])
  })

  test('is idle only when it holds nothing, says so once, and takes it back with its next record', async () => {
    const rig = await open()
    rig.pipe('in', 'a', 1, 10)
    expect(rig.pipeline.announceIdle()).toBe(false)
    rig.tick(150)
    expect(rig.pipeline.announceIdle()).toBe(true)
    expect(rig.pipeline.announceIdle()).toBe(false)
    expect(said(rig)).toEqual(['100', '100 idle'])
    rig.tick(1_000)
    expect(said(rig)).toEqual([])
    rig.pipe('in', 'a', 1, 20) // late: it is still idle
    expect(said(rig)).toEqual([])
    rig.pipe('in', 'a', 1, 960)
    expect(said(rig)).toEqual(['900'])
  })

  test('that has fallen idle is idle after a restart, and one that has not is not', async () => {
    const rig = await open()
    rig.pipe('in', 'a', 1, 10)
    rig.restart()
    rig.pipe('in', 'a', 1, 20)
    expect(said(rig)).toEqual([])
    rig.tick(150)
    rig.pipeline.announceIdle()
    said(rig)
    rig.restart()
    expect(rig.pipeline.announceIdle()).toBe(false)
    rig.pipe('in', 'a', 1, 160)
    expect(said(rig)).toEqual(['100'])
  })

  test('whose partition never had a record is idle at 0', async () => {
    const rig = await open()
    expect(rig.pipeline.announceIdle()).toBe(true)
    expect(said(rig)).toEqual(['0 idle'])
  })

  test('does not fall idle while what feeds it still holds something', async () => {
    const outer = operator('window-aggregate', 'outer', 'in', {
      store: 'outer-store',
      adder: sum,
      windows: { ...MINUTES, graceMs: 0 },
      emit: 'on-close',
      sendsOldValues: false,
    })
    const nodes = [
      source('in'),
      outer,
      operator('to-stream', 'flat', 'outer', {}),
      ...upstreamNodes(MINUTES)
        .slice(1)
        .map((node) => {
          return node.name === 'tally' ? { ...node, parents: ['flat'] } : node
        }),
    ]
    const rig = await Rig.open(nodes, [...stores, windowStore('outer-store', MINUTES)])
    rig.pipe('in', 'a', 1, 10)
    expect(rig.pipeline.announceIdle()).toBe(false)
    rig.tick(100)
    expect(rig.pipeline.announceIdle()).toBe(false)
    rig.tick(1_000)
    expect(rig.pipeline.announceIdle()).toBe(true)
  })
})

describe('a node below a slowest-upstream source', () => {
  const open = () =>
    Rig.open(downstreamNodes(MINUTES, 'slowest-upstream'), [windowStore('total-store', MINUTES)])

  test('is not moved by records or ticks, and keeps every window open until it is told', async () => {
    const rig = await open()
    for (const at of [5_050, 1_000_050, 50]) rig.pipe(TOPIC, 'low', 1, at)
    rig.tick(2_000_000)
    expect(rig.take()).toEqual([])
    expect(rig.pipeline.nextDueStreamTimeMs).toBe(Infinity)
    expect(rig.pipeline.nextDueTimeMs('total')).toBe(100)
    rig.restart()
    rig.pipe(TOPIC, 'low', 1, 60)
    rig.pipeline.advanceTime('total', 100)
    expect(rig.take()).toEqual(['low [0,100) 2@60'])
    expect(rig.pipeline.nextDueTimeMs('total')).toBe(5_100)
    rig.pipeline.advanceTime('total', 2_000_000)
    expect(rig.take()).toEqual(['low [5000,5100) 1@5050', 'low [1000000,1000100) 1@1000050'])
    expect(rig.dropped).toEqual([])
    rig.pipe(TOPIC, 'low', 1, 1_000_050)
    expect(rig.dropped).toEqual(['total-tally: late'])
  })

  test('below two of them goes by the slower, also after a restart', async () => {
    const [, total, out] = downstreamNodes(MINUTES, 'slowest-upstream')
    const sources = ['left', 'right'].map((name) => source(name, { time: 'slowest-upstream' }))
    const nodes = [...sources, { ...total, parents: ['left', 'right'] } as typeof total, out]
    const rig = await Rig.open(
      nodes.filter((node) => node !== undefined),
      [windowStore('total-store', MINUTES)],
    )
    rig.pipe('left', 'low', 1, 50)
    rig.pipe('right', 'low', 1, 60)
    rig.pipeline.advanceTime('left', 300)
    rig.restart()
    rig.pipeline.advanceTime('right', 99)
    expect(rig.take()).toEqual([])
    rig.pipeline.advanceTime('right', 100)
    expect(rig.take()).toEqual(['low [0,100) 2@60'])
  })

  test('suppress goes by it as well', async () => {
    const total = operator('window-aggregate', 'total-tally', 'total', {
      store: 'total-store',
      adder: sum,
      windows: MINUTES,
      emit: 'each-update',
      sendsOldValues: true,
    })
    const hold = operator('suppress', 'hold', 'total-tally', {
      store: 'b',
      until: 'window-closes',
      durationMs: 0,
      recordsMax: undefined,
      bytesMax: undefined,
      whenFull: 'shut-down',
    })
    const nodes = [source('total', { time: 'slowest-upstream' }), total, hold, sink('hold')]
    const rig = await Rig.open(nodes, [windowStore('total-store', MINUTES), suppressStore('b')])
    for (const at of [50, 950, 60]) rig.pipe('total', 'low', 1, at)
    rig.tick(5_000)
    expect(rig.take()).toEqual([])
    rig.pipeline.advanceTime('total', 100)
    expect(rig.take()).toEqual(['low [0,100) 2@60'])
    expect(rig.pipeline.nextDueTimeMs('total')).toBe(1_000)
  })
})
