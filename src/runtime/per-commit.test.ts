import { expect, test } from 'bun:test'
import { StreamsBuilder, string, topic, tumbling, type Topology } from '#topology'
import { journalOf, TaskRig, type RigRecord } from './test-helper/task-rig.ts'

const left = topic('left', { key: string(), value: string() })
const right = topic('right', { key: string(), value: string() })
const out = topic('out', { key: string(), value: string() })

/** Two inputs into everything that can emit per commit. */
function perCommit(): Topology {
  const builder = new StreamsBuilder('app')
  const stream = builder.stream([left, right])
  const emit = 'per-commit'
  stream
    .groupByKey()
    .reduce('joined', (a, b) => `${a.slice(-20)}${b}`, { emit })
    .toStream()
    .to(out)
  stream
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 100, graceMs: 50 }))
    .count('counts', { emit })
    .toStream()
    .map((count, { key, window }) => [key, `${window.startMs}=${count}`])
    .to(out)
  stream
    .toTable('latest', { emit })
    .toStream()
    .mapValues((value) => `latest ${value}`)
    .to(out)
  return builder.build()
}

const partitions = {
  left: 1,
  right: 1,
  out: 1,
  'app-joined-changelog': 1,
  'app-counts-changelog': 1,
  'app-latest-changelog': 1,
  'app-0-journal': 1,
  'app-late': 1,
  'app-dead-letters': 1,
}
const RECORDS = 120

/** Numbers in [0, 1) that a seed fixes. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function rigWith(seed: number): TaskRig {
  const next = numbers(seed)
  const rig = new TaskRig(perCommit(), { partitions, batchRecords: 7 })
  for (const input of ['left', 'right']) {
    const records = Array.from({ length: RECORDS }, (_, n): RigRecord => {
      const key = 'abc'[Math.floor(next() * 3)] ?? 'a'
      return { key, value: `${n % 10}`, timestampMs: n * 7 + Math.floor(next() * 40) }
    })
    rig.append(input, 0, ...records)
  }
  return rig
}

const outputsOf = (rig: TaskRig): readonly unknown[] =>
  rig.records('out', 0).map(({ key, value, timestampMs }) => [key, value, timestampMs])

/** Runs to the end with commits where the seed says. */
async function ran(seed: number, commitSeed: number): Promise<TaskRig> {
  const next = numbers(commitSeed)
  const rig = rigWith(seed)
  let task = await rig.task(0, 0)
  const isDone = (): boolean => (rig.committed.get('left-0')?.offset ?? 0) === RECORDS
  while (!isDone()) {
    rig.fetch(task)
    task.process(1 + Math.floor(next() * 25), rig.progressOf)
    if (next() < 0.2) {
      // What was held goes with what was not committed, and comes again.
      await task.close()
      task = await rig.task(0, 0)
    } else await rig.commit(task)
  }
  rig.run(task)
  await rig.commit(task)
  return rig
}

test('a commit is named in the journal, once, at the end of what it commits (R10)', async () => {
  const rig = await ran(1, 2)
  const kinds = journalOf(rig).map(({ entries }) => entries.map(({ kind }) => kind))
  expect(kinds.length).toBeGreaterThan(5)
  for (const each of kinds) {
    expect(each.filter((kind) => kind === 'commit')).toHaveLength(1)
    expect(each.at(-1)).toBe('commit')
  }
})

test.each([1, 2, 3, 4, 5])(
  'a replay that commits where the journal says gives the same outputs, and no other does (seed %d)',
  async (seed) => {
    const first = await ran(seed, seed * 100)
    const again = rigWith(seed)
    const task = await again.task(0, 0)
    for (const { entries } of journalOf(first)) {
      for (const entry of entries) {
        if (entry.kind === 'run') again.run(task, entry.records)
        if (entry.kind === 'commit') await again.commit(task)
      }
    }
    expect(outputsOf(again)).toEqual(outputsOf(first))
    expect(outputsOf(first).length).toBeGreaterThan(50)
    expect(outputsOf(await ran(seed, seed * 100 + 1))).not.toEqual(outputsOf(first))
  },
)

test('what is held comes out in the commit of its records, and at most once a key', async () => {
  const rig = rigWith(7)
  const task = await rig.task(0, 0)
  for (let commits = 0; commits < 5; commits += 1) {
    const before = rig.records('out', 0).length
    rig.run(task, 30)
    expect(rig.records('out', 0)).toHaveLength(before)
    await rig.commit(task)
    const latest = rig
      .records('out', 0)
      .slice(before)
      .filter(({ value }) => value?.startsWith('latest'))
    expect(latest.length).toBeGreaterThan(0)
    expect(new Set(latest.map(({ key }) => key)).size).toBe(latest.length)
  }
})

test('nothing ticks while something is held: what closes must have seen it (R9)', async () => {
  const builder = new StreamsBuilder('app')
  builder
    .stream(left, { idle: { closeMs: 1_000 } })
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 100, graceMs: 0 }))
    .count('counts', { emit: 'per-commit' })
    .suppress('final', { until: 'window-closes' })
    .toStream()
    .map((count, { key }) => [key, `${count}`])
    .to(out)
  const counts = { ...partitions, 'app-final-changelog': 1 }
  const rig = new TaskRig(builder.build(), { partitions: counts })
  const task = await rig.task(0, 0)
  rig.append('left', 0, { key: 'a', value: 'x', timestampMs: 10 })
  rig.run(task)
  expect(rig.silence(task, 5_000)).toBe(false)
  await rig.commit(task)
  expect(rig.silence(task, 5_000)).toBe(true)
  await rig.commit(task)
  expect(rig.values('out')).toEqual(['1'])
  expect(rig.values('app-late')).toEqual([])
})
