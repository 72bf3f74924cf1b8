import { expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { StreamsBuilder, string, topic, tumbling } from '#topology'
import { METADATA_CHARACTERS_MAX } from './commit-metadata.ts'
import { at, thrownBy, TaskRig } from './test-helper/task-rig.ts'

/** So many windowed counts of one stream, with long names: each has times to save. */
function manyCounts(count: number) {
  const builder = new StreamsBuilder('app')
  const stream = builder.stream(topic('in', { key: string(), value: string() }))
  const out = topic('out', { key: string(), value: string() })
  for (let n = 0; n < count; n++) {
    stream
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 100, graceMs: 0 }))
      .count(`a-rather-long-name-of-a-store-number-${n}`, { emit: 'on-close' })
      .toStream()
      .map((total, { key, window }) => [key, `${n}:${window.startMs}:${total}`])
      .to(out)
  }
  return builder.build()
}

function rigOf(count: number): TaskRig {
  const topology = manyCounts(count)
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

test('METADATA_TOO_LARGE if even short names do not fit', async () => {
  const rig = rigOf(200)
  const task = await rig.task(0, 0)
  rig.append('in', 0, at(10, 'x'), at(250, 'x'))
  rig.run(task)
  expect(thrownBy(() => task.seal(rig.progressOf))).toMatchObject({ code: 'METADATA_TOO_LARGE' })
})
