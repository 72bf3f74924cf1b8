import { describe, expect, test } from 'bun:test'
import { decodeMetadata } from './commit-metadata.ts'
import { at, journalOf, owned, TaskRig } from './test-helper/task-rig.ts'
import { process, sink, source, topologyOf, type AnyProcessor } from './test-helper/topologies.ts'

/** `a` and `b` merged into `out`. */
const merged = topologyOf([{ nodes: [source('a'), source('b'), sink(['a', 'b'])] }])
const twoInputs = { partitions: { a: 1, b: 1, out: 1, ...owned } }

describe('choosing the next record', () => {
  test('the lowest head goes first, and order within a partition is kept (T1)', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(5, 'a5'), at(1, 'a1'), at(9, 'a9'))
    rig.append('b', 0, at(3, 'b3'), at(6, 'b6'))
    expect(rig.run(task)).toEqual({ processed: 5, stopped: 'empty' })
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['b3', 'a5', 'a1', 'b6', 'a9'])
    expect(task.streamTimeMs).toBe(9)
  })

  test('ties go by the order of the inputs', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('b', 0, at(1, 'b'), at(1, 'b'))
    rig.append('a', 0, at(1, 'a'), at(1, 'a'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['a', 'a', 'b', 'b'])
  })

  test('nothing is taken while another input below its high watermark has no head (T7)', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(5, 'a5'))
    rig.append('b', 0, at(3, 'b3'))
    rig.fetch(task, 'a')
    expect(task.process(9, rig.progressOf)).toEqual({ processed: 0, stopped: 'waiting-for-input' })
    rig.highWatermarks.set('b-0', 2)
    expect(rig.run(task)).toEqual({ processed: 1, stopped: 'waiting-for-input' })
    rig.highWatermarks.clear()
    expect(rig.run(task)).toEqual({ processed: 1, stopped: 'empty' })
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['b3', 'a5'])
  })

  test('at most recordsMax are taken, and what waits is told by input', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, '1'), at(2, '2'), at(3, '3'))
    expect(rig.run(task, 2)).toEqual({ processed: 2, stopped: 'records-max' })
    expect(task.bufferedBytesOf({ topic: 'a', partition: 0 })).toBe(task.bufferedBytes)
    expect(task.bufferedBytes).toBeGreaterThan(0)
    expect(rig.run(task)).toEqual({ processed: 1, stopped: 'empty' })
    expect(task.bufferedBytes).toBe(0)
  })

  test('a record is extracted when it becomes the head, and sees the partition time (T2, T5)', async () => {
    const seen: [unknown, number][] = []
    const timestampExtractor = {
      name: 'seen',
      extract: (record: { value: unknown; timestampMs: number }, partitionTimeMs: number) => {
        seen.push([record.value, partitionTimeMs])
        return record.timestampMs
      },
    }
    const topology = topologyOf([{ nodes: [source('a', { timestampExtractor }), sink(['a'])] }])
    const rig = new TaskRig(topology, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(7, 'x'), at(3, 'y'), at(-1, 'z'), at(9, 'w'))
    rig.run(task, 1)
    expect(seen).toEqual([['x', -1]])
    rig.run(task)
    expect(seen).toEqual([
      ['x', -1],
      ['y', 7],
      ['z', 7],
      ['w', 7],
    ])
    expect(task.droppedRecords).toBe(1)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['x', 'y', 'w'])
  })
})

describe('what a commit carries', () => {
  test('every input with its offset and metadata, moved or not (R1)', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(5, 'a5'), at(8, 'a8'))
    rig.run(task, 1)
    const sealed = await rig.commit(task)
    expect(sealed?.offsets.map(({ topic, offset }) => [topic, offset])).toEqual([
      ['a', 1],
      ['b', 0],
    ])
    const times = sealed?.offsets.map(({ metadata }) => decodeMetadata(metadata).partitionTimeMs)
    expect(times).toEqual([5, -1])
    expect(sealed?.inputPositions).toEqual({ 'a-0': 1, 'b-0': 0 })
  })

  test('nothing when nothing was done; one sealed layer at a time', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    expect(task.seal(rig.progressOf)).toBeUndefined()
    rig.append('a', 0, at(1, 'x'), at(2, 'y'))
    rig.run(task, 1)
    expect(task.isDirty).toBe(true)
    expect(task.seal(rig.progressOf)).toBeDefined()
    expect(task.isDirty).toBe(false)
    rig.run(task)
    expect(() => task.seal(rig.progressOf)).toThrow('one sealed layer at a time')
  })

  test('an empty input is committed at the reader’s position, past control records (T8)', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'x'))
    rig.run(task)
    const passed = task.seal((input) => ({
      ...(rig.progressOf(input) ?? { fetchedAtMs: 0 }),
      position: 7,
      highWatermark: 7,
    }))
    expect(passed?.offsets.map(({ offset }) => offset)).toEqual([7, 7])
  })

  test('the order of two inputs is journaled, that of one is not (R10)', async () => {
    const rig = new TaskRig(merged, twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, '1'), at(2, '2'), at(5, '5'))
    rig.append('b', 0, at(3, '3'), at(4, '4'))
    rig.run(task, 4)
    await rig.commit(task)
    rig.run(task)
    await rig.commit(task)
    expect(journalOf(rig)).toEqual([
      {
        inputs: [
          { topic: 'a', position: 0 },
          { topic: 'b', position: 0 },
        ],
        entries: [
          { kind: 'run', input: 0, records: 2 },
          { kind: 'run', input: 1, records: 2 },
        ],
      },
      {
        inputs: [
          { topic: 'a', position: 2 },
          { topic: 'b', position: 2 },
        ],
        entries: [{ kind: 'run', input: 0, records: 1 }],
      },
    ])

    const single = topologyOf([{ nodes: [source('a'), sink(['a'])] }])
    const alone = new TaskRig(single, twoInputs)
    const lone = await alone.task(0, 0)
    alone.append('a', 0, at(1, '1'))
    alone.run(lone)
    await alone.commit(lone)
    expect(alone.values('out')).toEqual(['1'])
    expect(journalOf(alone)).toEqual([])
  })

  test('null keys go to the task’s own partition, modulo the topic’s count', async () => {
    const topology = topologyOf([{ nodes: [source('a'), sink(['a'])] }])
    const partitions = { a: 4, out: 3, 'app-0-journal': 4, 'app-dead-letters': 1, 'app-late': 1 }
    const rig = new TaskRig(topology, { partitions })
    const task = await rig.task(0, 2)
    rig.append('a', 2, at(1, 'x', null), at(2, 'y', 'foobar'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out', 2)).toEqual(['x'])
    // murmur2('foobar') = −790332482, as Kafka's tests say (3.5); its positive part is a multiple of 3.
    expect(rig.values('out', 0)).toEqual(['y'])
  })

  test('processing stops when the open layer is full, and goes on after the seal', async () => {
    const topology = topologyOf([{ nodes: [source('a'), sink(['a'])] }])
    const rig = new TaskRig(topology, { ...twoInputs, options: { layerBytesMax: 5_000 } })
    const task = await rig.task(0, 0)
    for (let n = 0; n < 100; n++) rig.append('a', 0, at(n, 'x'.repeat(100)))
    expect(rig.run(task)).toEqual({ processed: 64, stopped: 'layer-full' })
    expect(rig.run(task).processed).toBe(0)
    await rig.commit(task)
    expect(rig.run(task)).toEqual({ processed: 36, stopped: 'empty' })
  })
})

describe('punctuation', () => {
  /** Forwards its argument at each tick of a clock, every 100 ms. */
  const ticking = (type: 'stream-time' | 'wall-clock') => (): AnyProcessor => ({
    init(context) {
      context.schedule(100, type, (timestampMs) =>
        context.forward({ key: 't', value: `tick@${timestampMs}`, timestampMs, headers: [] }),
      )
    },
    process() {},
  })
  const topologyWith = (type: 'stream-time' | 'wall-clock') =>
    topologyOf([{ nodes: [source('a'), process('p', ['a'], ticking(type)), sink(['p'])] }])

  test('by stream time comes after the record that makes it due, at most once a check (P1–P3)', async () => {
    const rig = new TaskRig(topologyWith('stream-time'), twoInputs)
    const task = await rig.task(0, 0)
    rig.append('a', 0, ...[0, 99, 100, 901, 902, 1000].map((time) => at(time, 'x')))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['tick@0', 'tick@100', 'tick@901', 'tick@1000'])
    expect(journalOf(rig)).toEqual([])
  })

  test('by the wall clock is journaled, behind the records that came before it (R10)', async () => {
    const rig = new TaskRig(topologyWith('wall-clock'), twoInputs)
    const task = await rig.task(0, 0)
    expect(task.nextWallClockMs).toBe(1_000_100)
    rig.append('a', 0, at(1, 'x'), at(2, 'x'))
    rig.run(task)
    expect(task.punctuate(1_000_099)).toBe(0)
    expect(task.punctuate(1_000_250)).toBe(1)
    expect(task.nextWallClockMs).toBe(1_000_300)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['tick@1000250'])
    expect(journalOf(rig)[0]?.entries).toEqual([
      { kind: 'run', input: 0, records: 2 },
      { kind: 'punctuate', name: 'p#0', timeMs: 1_000_250 },
    ])
  })
})
