import { describe, expect, test } from 'bun:test'
import { store, StreamsBuilder, string, topic, tumbling } from '#topology'
import type { Task } from './task.ts'
import { at, journalOf, TaskRig, type RigRecord } from './test-helper/task-rig.ts'

const left = topic('left', { key: string(), value: string() })
const right = topic('right', { key: string(), value: string() })
const out = topic('out', { key: string(), value: string() })
const last = store('last', { key: string(), value: string() })

/** Two inputs into one of everything that remembers: dedupe, a store, windows that close; and values that throw. */
function everything() {
  const builder = new StreamsBuilder('app')
  const accepted = builder
    .stream([left, right])
    .dedupe('seen', { by: (value) => value, withinMs: 400 })
  accepted
    .processValues('joined', { last }, (value, stores, key) => {
      const before = stores.last.get(key) ?? ''
      stores.last.put(key, value)
      if (value.endsWith('7')) throw new RangeError(value)
      return `${before}>${value}`
    })
    .to(out)
  accepted
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 100, graceMs: 50 }))
    .count('counts', { emit: 'on-close' })
    .toStream()
    .map((count, { key, window }) => [key, `${window.startMs}=${count}`])
    .to(out)
  return builder.build()
}

const partitions = {
  left: 1,
  right: 1,
  out: 3,
  'app-last-changelog': 1,
  'app-seen-changelog': 1,
  'app-counts-changelog': 1,
  'app-0-journal': 1,
  'app-late': 1,
  'app-dead-letters': 1,
}

/** Numbers in [0, 1) that a seed fixes. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

function inputs(seed: number): readonly (readonly RigRecord[])[] {
  const next = numbers(seed)
  return ['left', 'right'].map(() => {
    let timeMs = 0
    return Array.from({ length: 150 }, () => {
      timeMs += Math.floor(next() * 30)
      const backMs = next() < 0.1 ? Math.floor(next() * 300) : 0
      const key = 'abcd'[Math.floor(next() * 4)] ?? 'a'
      return at(Math.max(0, timeMs - backMs), `v${Math.floor(next() * 80)}`, key)
    })
  })
}

interface Outcome {
  readonly outputs: unknown
  readonly journal: unknown
  readonly stores: unknown
}

/** Everything that design section 7 compares; changelogs as the fold per key. */
async function outcomeOf(rig: TaskRig): Promise<Outcome> {
  const shown = (name: string, partition: number): unknown =>
    rig
      .records(name, partition)
      .map(({ key, value, timestampMs, headers }) => [
        key,
        value,
        timestampMs,
        headers
          .filter(([header]) => !header.endsWith('stacktrace') && !header.endsWith('offset'))
          .map(([header, text]) => [header, String(text)]),
      ])
  const fold = (name: string): unknown => {
    const rows = new Map(
      rig
        .records(name, 0)
        .map(({ keyBytes, valueBytes }) => [
          String(keyBytes && [...keyBytes]),
          valueBytes && [...valueBytes],
        ]),
    )
    return [...rows].filter(([, value]) => value !== null).sort()
  }
  const runs: { input: number; records: number }[] = []
  for (const { entries } of journalOf(rig)) {
    for (const entry of entries) {
      if (entry.kind !== 'run') continue
      const before = runs.at(-1)
      if (before?.input === entry.input) before.records += entry.records
      else runs.push({ input: entry.input, records: entry.records })
    }
  }
  return {
    outputs: [
      ...[0, 1, 2].map((partition) => shown('out', partition)),
      shown('app-late', 0),
      shown('app-dead-letters', 0),
    ],
    journal: runs,
    stores: [fold('app-last-changelog'), fold('app-counts-changelog')],
  }
}

function rigWith(seed: number, batchRecords: number): TaskRig {
  const rig = new TaskRig(everything(), { partitions, batchRecords })
  const [lefts = [], rights = []] = inputs(seed)
  rig.append('left', 0, ...lefts)
  rig.append('right', 0, ...rights)
  return rig
}

describe('the same inputs give the same outputs (R11)', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'whatever the batches, the order of fetches, the commits, crashes and restarts (seed %d)',
    async (seed) => {
      const plain = rigWith(seed, 1000)
      const task = await plain.task(0, 0)
      plain.run(task)
      await plain.commit(task)
      const expected = await outcomeOf(plain)
      expect(JSON.stringify(expected.outputs).length).toBeGreaterThan(2_000)

      const next = numbers(seed * 1000)
      let crashes = 0
      let waits = 0
      const rig = rigWith(seed, 1 + Math.floor(next() * 9))
      let running: Task = await rig.task(0, 0)
      for (let steps = 0; (rig.committed.get('left-0')?.offset ?? 0) < 150 || steps < 40; steps++) {
        const chance = next()
        if (chance < 0.4) rig.fetch(running, next() < 0.5 ? 'left' : 'right')
        const { stopped } = running.process(Math.floor(next() * 20), rig.progressOf)
        if (stopped === 'waiting-for-input') waits += 1
        if (chance > 0.7) await rig.commit(running)
        if (chance > 0.4 && chance < 0.5) {
          crashes += 1
          await running.close()
          running = await rig.task(0, 0)
        }
      }
      rig.run(running)
      await rig.commit(running)
      expect(await outcomeOf(rig)).toEqual(expected)
      expect(crashes).toBeGreaterThan(0)
      expect(waits).toBeGreaterThan(0)
    },
  )
})
