/**
 * A world for R12: upstream tasks that close windows at their own pace, stand still, fall silent, come back, restart and throw;
 * a repartition topic; and tasks that read it at the slowest upstream.
 *
 * Invariant: a seed fixes a run.
 */
import { expect } from 'bun:test'
import type { TimeWindowsSpec, TopologyNode } from '../node.ts'
import type { Windowed } from '../windowed.ts'
import { operator, sink, source, sum, windowStore } from './nodes.ts'
import { type Announcement, type Output, Rig } from './rig.ts'

const TASKS = 3
const READERS = 2
export const TOPIC = 'total-repartition'
/** Records are up to this much out of order, and a commit takes up to this long: together less than the grace. */
const JITTER_MS = 20
const COMMIT_MS_MAX = 20
export const GRACE_MS = 50
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

export function upstreamNodes(windows: TimeWindowsSpec): readonly TopologyNode[] {
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

export function downstreamNodes(
  windows: TimeWindowsSpec,
  time: 'slowest-upstream' | 'records',
): readonly TopologyNode[] {
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
export class Upstream {
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
export class Downstream {
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

export interface World {
  readonly upstreams: readonly Upstream[]
  readonly downstreams: readonly Downstream[]
  /** The furthest that two tasks' stream times were apart. */
  readonly apartMs: number
}

export async function run(
  seed: number,
  windows: TimeWindowsSpec,
  time: 'slowest-upstream' | 'records' = 'slowest-upstream',
): Promise<World> {
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
