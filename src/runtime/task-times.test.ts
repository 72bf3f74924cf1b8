import { expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { StreamsBuilder, string, topic, tumbling } from '#topology'
import { METADATA_CHARACTERS_MAX } from './commit-metadata.ts'
import { at, TaskRig } from './test-helper/task-rig.ts'

/** So many windowed counts of one stream, with long names: each has times to save. */
function manyCounts(count: number, pad: string) {
  const builder = new StreamsBuilder('app')
  const stream = builder.stream(topic('in', { key: string(), value: string() })).peek((value) => {
    if (value === 'bad') throw new RangeError('bad')
  })
  const out = topic('out', { key: string(), value: string() })
  for (let n = 0; n < count; n++) {
    stream
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 100, graceMs: 0 }))
      .count(`a-rather-long-name-of-a-store-number-${n}${pad}`, { emit: 'on-close' })
      .toStream()
      .map((total, { key, window }) => [key, `${n}:${window.startMs}:${total}`])
      .to(out)
  }
  return builder.build()
}

function rigOf(count: number, pad: string = ''): TaskRig {
  const topology = manyCounts(count, pad)
  const changelogs = topology.internalTopics.map(({ name }) => [`app-${name}`, 1] as const)
  const partitions = { in: 1, out: 1, 'app-0-journal': 1, 'app-late': 1, 'app-dead-letters': 1 }
  return new TaskRig(topology, { partitions: { ...partitions, ...Object.fromEntries(changelogs) } })
}

test('a restart restores every node’s time, also under short names (R21)', async () => {
  for (const [count, isShort] of [
    [3, false],
    [40, true],
  ] as const) {
    const rig = rigOf(count)
    let task = await rig.task(0, 0)
    rig.append('in', 0, at(10, 'x'), at(250, 'x'))
    rig.run(task)
    const sealed = await rig.commit(task)
    const metadata = sealed?.offsets[0]?.metadata ?? ''
    expect(metadata.length).toBeLessThanOrEqual(METADATA_CHARACTERS_MAX)
    expect(Buffer.from(metadata, 'base64').includes('a-rather-long-name')).toBe(!isShort)
    await task.close()

    task = await rig.task(0, 0)
    expect(task.streamTimeMs).toBe(250)
    // Without saved times this record would not be late, and the window would be emitted twice.
    rig.append('in', 0, at(20, 'late'), at(400, 'x'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.records('app-late', 0)).toHaveLength(count)
    expect(rig.values('out').filter((value) => value?.includes(':0:1'))).toHaveLength(count)
  }
})

test('whether names are short is the same at every commit, and does not wait for one that is too large (R21)', async () => {
  // Somewhere on the way plain names fit only until the first record fails: its count is saved too from then on.
  for (let pad = '', isShort = false; !isShort; pad += 'x') {
    const rig = rigOf(17, pad)
    const task = await rig.task(0, 0)
    rig.append('in', 0, at(10, 'x'))
    rig.run(task)
    const before = (await rig.commit(task))?.offsets[0]?.metadata ?? ''
    isShort = !Buffer.from(before, 'base64').includes('a-rather-long-name')
    rig.append('in', 0, at(20, 'bad'))
    rig.run(task)
    const after = (await rig.commit(task))?.offsets[0]?.metadata ?? ''
    expect(Buffer.from(after, 'base64').includes('a-rather-long-name')).toBe(!isShort)
    expect(after.length).toBeGreaterThan(before.length)
    expect(after.length).toBeLessThanOrEqual(METADATA_CHARACTERS_MAX)
    expect(pad.length).toBeLessThan(60)
  }
})

test('METADATA_TOO_LARGE at the start, if even short names do not fit (R21)', async () => {
  const error = await rigOf(200)
    .task(0, 0)
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'METADATA_TOO_LARGE', taskId: '0_0' })
})
