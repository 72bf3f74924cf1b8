/**
 * R12 under random interleavings: several upstream tasks close windows at their own pace, fall silent and come back, restart and
 * throw; below the repartition the totals must be exact and nothing late.
 *
 * Invariant: a seed fixes a run.
 */
import { describe, expect, test } from 'bun:test'
import type { TimeWindowsSpec, TopologyNode } from './node.ts'
import { operator, sink, source, sum, windowStore } from './test-helper/nodes.ts'
import { type Announcement, type Output, Rig } from './test-helper/rig.ts'
import type { Windowed } from './windowed.ts'

const TASKS = 3
const READERS = 2
const TOPIC = 'total-repartition'
/** Records are up to this much out of order, and a commit takes up to this long: together less than the grace. */
const JITTER_MS = 20
const COMMIT_MS_MAX = 20
const GRACE_MS = 50
const IDLE_MS = 40
const FEED_MS = 3_000

type Random = () => number

/** mulberry32 */
function seeded(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

function upstreamNodes(windows: TimeWindowsSpec): readonly TopologyNode[] {
  return [
    source('in'),
    operator('window-aggregate', 'tally', 'in', {
      store: 'tally-store',
      adder: sum,
      windows: { ...windows, graceMs: GRACE_MS },
      emit: 'on-close',
      sendsOldValues: false,
    }),
    operator('to-stream', 'ts', 'tally', {}),
    operator('select-key', 'all', 'ts', {
      mapper: (_, key) => ((key as Windowed<string>).key < 'c' ? 'low' : 'high'),
    }),
    sink('all', { topic: TOPIC, internal: true, sendsTime: true }),
  ]
}

function downstreamNodes(windows: TimeWindowsSpec, time: 'slowest-upstream' | 'records') {
  return [
    source('total', { topics: [TOPIC], internal: true, time }),
    operator('window-aggregate', 'total-tally', 'total', {
      store: 'total-store',
      adder: sum,
      windows,
      emit: 'on-close',
      sendsOldValues: false,
    }),
    sink('total-tally'),
  ]
}

/**
 * One input partition and the task that reads it, which may stand still, fall silent and restart. It does not stand still
 * while it is idle: who has said that nothing comes must read what comes after all.
 */
class Upstream {
  readonly rig: Rig
  readonly results: Output[] = []
  readonly inputs: { readonly key: string; readonly timestampMs: number }[] = []
  readonly #random: Random
  #taken = 0
  #taking = true
  #feeding = true
  #quietSinceMs = 0
  #baseMs = -1
  #committedAtMs = 0
  #isIdle = false
  timesIdle = 0

  constructor(rig: Rig, random: Random) {
    this.rig = rig
    this.#random = random
  }

  get isDone(): boolean {
    return this.#taken === this.inputs.length && this.rig.sent.length === 0
  }

  /** One millisecond of the world's time. */
  step(nowMs: number, isFed: boolean): readonly (Output | Announcement)[] {
    const random = this.#random
    if (random() < 0.01) this.#feeding = !this.#feeding
    if (random() < 0.01) this.#taking = !this.#taking
    if (!isFed || this.#isIdle) this.#taking = true
    if (isFed && this.#feeding && random() < 0.2) {
      const key = 'abcd'.charAt(Math.floor(random() * 4))
      const timestampMs = Math.max(0, nowMs - Math.floor(random() * JITTER_MS))
      this.inputs.push({ key, timestampMs })
    }
    if (this.#taking) this.#take(nowMs)
    return this.#commit(nowMs)
  }

  #take(nowMs: number): void {
    const next = this.inputs[this.#taken]
    if (next === undefined) return this.#beQuiet(nowMs)
    this.#quietSinceMs = nowMs
    this.#isIdle = false
    if (this.#random() < 0.1) this.#takeAndThrow(next)
    this.rig.pipe('in', next.key, 1, next.timestampMs)
    this.#taken += 1
    this.#baseMs = this.rig.pipeline.streamTimeMs
  }

  /** R15: a record that throws at its end must leave time, windows and announcements as they were. */
  #takeAndThrow(next: { readonly key: string; readonly timestampMs: number }): void {
    expect(() =>
      this.rig.whole(() => {
        const place = { partition: 0, offset: 0, headers: [] }
        this.rig.pipeline.process('in', { ...next, value: 1 }, place)
        throw new RangeError('planned')
      }),
    ).toThrow('planned')
  }

  /** R9: stream time goes on by the silence where something waits for it, and what waits for nothing is idle. */
  #beQuiet(nowMs: number): void {
    const silentMs = nowMs - this.#quietSinceMs
    if (silentMs < IDLE_MS) return
    const { pipeline } = this.rig
    const tickMs = this.#baseMs + silentMs
    if (this.#baseMs >= 0 && pipeline.nextDueStreamTimeMs <= tickMs) this.rig.tick(tickMs)
    const waits = pipeline.nextDueStreamTimeMs !== Infinity
    if (pipeline.announceIdle()) {
      expect(waits).toBe(false)
      this.#isIdle = true
      this.timesIdle += 1
    }
  }

  /** Everything so far becomes visible at once, in order; between two commits the task may restart. */
  #commit(nowMs: number): readonly (Output | Announcement)[] {
    if (this.rig.sent.length === 0) this.#committedAtMs = nowMs
    const isDue = nowMs - this.#committedAtMs >= COMMIT_MS_MAX
    if (!isDue && this.#random() < 0.9) return []
    this.#committedAtMs = nowMs
    const sent = this.rig.sent.splice(0)
    this.rig.outputs.length = 0
    this.results.push(...sent.filter((each): each is Output => 'key' in each))
    if (this.#random() < 0.02) this.rig.restart()
    return sent
  }
}

interface Sent {
  readonly task: number
  readonly what: Output | Announcement
}

/** One partition of the repartition topic and its reader: the task's part of R12 in a few lines. */
class Downstream {
  readonly rig: Rig
  readonly #queue: Sent[] = []
  readonly #pairs = new Map(
    Array.from({ length: TASKS }, (_, task) => [task, { timeMs: -1, idle: false }]),
  )
  timeMs = -1

  constructor(rig: Rig) {
    this.rig = rig
  }

  add(sent: Sent): void {
    this.#queue.push(sent)
  }

  get isDone(): boolean {
    return this.#queue.length === 0
  }

  take(): void {
    const next = this.#queue.shift()
    if (next === undefined) return
    if ('key' in next.what) {
      const { key, value, timestampMs } = next.what
      this.rig.pipe(TOPIC, key, value, timestampMs)
      return
    }
    this.#pairs.set(next.task, next.what)
    this.#advance(this.#minimum())
  }

  #minimum(): number {
    const pairs = [...this.#pairs.values()]
    const speaking = pairs.filter(({ idle }) => !idle)
    if (speaking.length === 0) return Math.max(...pairs.map(({ timeMs }) => timeMs))
    return Math.min(...speaking.map(({ timeMs }) => timeMs))
  }

  /** All upstream tasks are idle: time goes on by the silence. */
  beQuiet(silentMs: number): void {
    if ([...this.#pairs.values()].every(({ idle }) => idle)) this.#advance(this.timeMs + silentMs)
  }

  #advance(timeMs: number): void {
    if (timeMs <= this.timeMs) return
    this.timeMs = timeMs
    this.rig.whole(() => this.rig.pipeline.advanceTime('total', timeMs))
  }
}

async function run(
  seed: number,
  windows: TimeWindowsSpec,
  time: 'slowest-upstream' | 'records' = 'slowest-upstream',
) {
  const random = seeded(seed)
  const upstreams: Upstream[] = []
  for (let task = 0; task < TASKS; task += 1) {
    const stores = [windowStore('tally-store', { ...windows, graceMs: GRACE_MS })]
    const rig = await Rig.open(upstreamNodes(windows), stores, { partition: task })
    upstreams.push(new Upstream(rig, random))
  }
  const downstreams: Downstream[] = []
  for (let reader = 0; reader < READERS; reader += 1) {
    const rig = await Rig.open(downstreamNodes(windows, time), [
      windowStore('total-store', windows),
    ])
    downstreams.push(new Downstream(rig))
  }
  let apartMs = 0
  for (let nowMs = 0; nowMs < 3 * FEED_MS; nowMs += 1) {
    for (const [task, upstream] of upstreams.entries()) {
      for (const what of upstream.step(nowMs, nowMs < FEED_MS)) {
        for (const [reader, downstream] of downstreams.entries()) {
          const isHere = !('key' in what) || (what.key === 'low') === (reader === 0)
          if (isHere) downstream.add({ task, what })
        }
      }
    }
    for (const downstream of downstreams) {
      while (random() < 0.7 && !downstream.isDone) downstream.take()
      if (random() < 0.001) downstream.rig.restart()
    }
    const times = upstreams.map(({ rig }) => rig.pipeline.streamTimeMs)
    apartMs = Math.max(apartMs, Math.max(...times) - Math.min(...times))
  }
  for (const downstream of downstreams) {
    while (!downstream.isDone) downstream.take()
    downstream.beQuiet(10 * FEED_MS)
  }
  return { upstreams, downstreams, apartMs }
}

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
})
