import { describe, expect, test } from 'bun:test'
import { Buffer } from 'node:buffer'
import { StateError } from '#state'
import { StreamsBuilder, string, topic, tumbling } from '#topology'
import { decodeMetadata } from './commit-metadata.ts'
import { TaskError } from './task-error.ts'
import { at, journalOf, owned, TaskRig, thrownBy } from './test-helper/task-rig.ts'
import {
  pairs,
  process,
  sink,
  source,
  tableStore,
  topologyOf,
  type AnyProcessor,
} from './test-helper/topologies.ts'

/** Stores and forwards each value, then throws at `boom`; `big` forwards a megabyte and a half first. */
function failing(): AnyProcessor {
  let forward: (value: string, key: unknown, timestampMs: number) => void = () => {}
  let store: { put(key: unknown, value: string): void; get(key: unknown): unknown } | undefined
  return {
    init(context) {
      store = context.store('table') as typeof store
      forward = (value, key, timestampMs) =>
        context.forward({ key, value, timestampMs, headers: [] })
    },
    process({ key, value, timestampMs }) {
      const seen = store?.get(key) ?? ''
      store?.put(key, `${seen}${value}`)
      forward(`${seen}${value}`, key, timestampMs)
      if (value === 'big') {
        for (let n = 0; n < 15; n++) forward('x'.repeat(100_000), key, timestampMs)
      }
      if (value === 'boom' || value === 'big') throw new RangeError(`no ${value}`)
      if (value === 'disk') throw new StateError('STORE_FAILED', 'disk')
    },
  }
}

/** Puts two megabytes under each key. */
function growing(): AnyProcessor {
  let put: (key: unknown, value: string) => void = () => {}
  return {
    init(context) {
      const store = context.store('table') as { put(key: unknown, value: string): void }
      put = (key, value) => store.put(key, value)
    },
    process: ({ key }) => put(key, 'x'.repeat(2e6)),
  }
}

const withFailures = topologyOf([
  {
    nodes: [source('a'), process('failing', ['a'], failing, ['table']), sink(['failing'])],
    stores: [tableStore('table')],
  },
])
const oneInput = {
  partitions: { a: 1, out: 1, 'app-table-changelog': 1, ...owned },
}

describe('a record is a savepoint (R15)', () => {
  test('what a failed record wrote and forwarded is undone, and its dead letter is in the same commit', async () => {
    const rig = new TaskRig(withFailures, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), { ...at(90, 'boom'), headers: [['h', Buffer.from('1')]] })
    rig.append('a', 0, at(3, 'v'))
    rig.run(task)
    expect(task.streamTimeMs).toBe(3)
    expect(task.droppedRecords).toBe(1)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'uv'])
    expect(rig.values('app-table-changelog')).toEqual(['uv'])

    const [letter] = rig.records('app-dead-letters', 0)
    expect(letter).toMatchObject({ key: 'k', value: 'boom', timestampMs: 90 })
    const headers = letter?.headers.map(([name, value]) => [name, value && String(value)])
    expect(headers).toEqual([
      ['h', '1'],
      ['__streams.errors.exception', 'RangeError'],
      ['__streams.errors.message', 'no boom'],
      ['__streams.errors.stacktrace', expect.stringContaining('RangeError: no boom')],
      ['__streams.errors.topic', 'a'],
      ['__streams.errors.partition', '0'],
      ['__streams.errors.offset', '1'],
      ['millrace-node', 'failing'],
    ])
  })

  test('also what it wrote beyond a batch that was finished meanwhile', async () => {
    const rig = new TaskRig(withFailures, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'big'), at(3, 'v'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'uv'])
    expect(rig.records('out', 0).map(({ timestampMs }) => timestampMs)).toEqual([1, 3])
  })

  test('bytes that cannot be decoded are dead letters byte for byte', async () => {
    const rig = new TaskRig(withFailures, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'bad bytes'), at(2, 'u'))
    rig.run(task)
    const sealed = await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
    expect(rig.values('app-dead-letters')).toEqual(['bad bytes'])
    // A record that failed does not move its partition's time.
    expect(decodeMetadata(sealed?.offsets[0]?.metadata ?? '').partitionTimeMs).toBe(2)
  })

  test('skip passes over it silently, and it is counted', async () => {
    const options = { onDecodeError: 'skip', onProcessingError: 'skip' } as const
    const rig = new TaskRig(withFailures, { ...oneInput, options })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'bad'), at(2, 'boom'), at(3, 'u'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
    expect(rig.values('app-dead-letters')).toEqual([])
    expect(task.droppedRecords).toBe(2)
  })

  test.each([
    ['bad', 'DECODE_FAILED'],
    ['boom', 'PROCESSING_FAILED'],
  ])('stop at %p is %s, with everything before it still to be committed', async (value, code) => {
    const options = { onDecodeError: 'stop', onProcessingError: 'stop' } as const
    const rig = new TaskRig(withFailures, { ...oneInput, options })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, value), at(3, 'v'))
    const error = thrownBy(() => rig.run(task))
    expect(error).toBeInstanceOf(TaskError)
    expect(error).toMatchObject({
      code,
      taskId: '0_0',
      at: { topic: 'a', partition: 0, offset: 1 },
    })
    const sealed = await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
    expect(sealed?.offsets[0]?.offset).toBe(1)
    // Started again, it meets the same record.
    expect(thrownBy(() => rig.run(task))).toMatchObject({ code })
  })

  test('an error of a store is not the record’s: no dead letter, it goes up', async () => {
    const rig = new TaskRig(withFailures, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'disk'))
    expect(thrownBy(() => rig.run(task))).toMatchObject({ code: 'STORE_FAILED' })
    await rig.commit(task)
    expect(rig.values('app-dead-letters')).toEqual([])
  })

  test('more than half of the last 100 failing is TASK_POISONED, and a restart swallows no more', async () => {
    const rig = new TaskRig(withFailures, oneInput)
    let task = await rig.task(0, 0)
    for (let n = 0; n < 60; n++) rig.append('a', 0, at(n, 'u'))
    for (let n = 0; n < 60; n++) rig.append('a', 0, at(60 + n, 'boom'))
    rig.run(task, 90)
    await rig.commit(task)
    await task.close()
    task = await rig.task(0, 0)
    expect(thrownBy(() => rig.run(task))).toMatchObject({
      code: 'TASK_POISONED',
      at: { offset: 110 },
    })
    await rig.commit(task)
    expect(rig.values('app-dead-letters')).toHaveLength(50)
    for (let restarts = 0; restarts < 3; restarts++) {
      await task.close()
      task = await rig.task(0, 0)
      expect(thrownBy(() => rig.run(task))).toMatchObject({ code: 'TASK_POISONED' })
      expect(task.isDirty).toBe(false)
    }
  })

  test('a suppress that is full and may not emit early stops the task, whatever the policy (U4)', async () => {
    const builder = new StreamsBuilder('app')
    builder
      .stream(topic('a', { key: string(), value: string() }))
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 100, graceMs: 0 }))
      .count('n')
      .suppress('held', { until: 'window-closes', recordsMax: 2 })
      .toStream()
      .map((count, { key }) => [key, `${count}`])
      .to(topic('out', { key: string(), value: string() }))
    const changelogs = { 'app-n-changelog': 1, 'app-held-changelog': 1 }
    const partitions = { ...oneInput.partitions, ...changelogs }
    for (const onProcessingError of ['dead-letter', 'skip', 'stop'] as const) {
      const rig = new TaskRig(builder.build(), { partitions, options: { onProcessingError } })
      const task = await rig.task(0, 0)
      for (const key of ['k', 'l', 'm']) rig.append('a', 0, { ...at(1, 'x'), key })
      const error = thrownBy(() => rig.run(task))
      expect(error).toBeInstanceOf(TaskError)
      expect(error).toMatchObject({ code: 'PROCESSING_FAILED', cause: { code: 'BUFFER_FULL' } })
      const sealed = await rig.commit(task)
      expect(sealed?.offsets[0]?.offset).toBe(2)
      expect(rig.values('app-dead-letters')).toEqual([])
    }
  })

  test('a record too large for the log is a dead letter', async () => {
    const topology = topologyOf([
      {
        nodes: [
          source('a'),
          process(
            'grow',
            ['a'],
            pairs((value, key) => [[key, value === 'x' ? 'x'.repeat(2e6) : value]]),
          ),
          sink(['grow']),
        ],
      },
    ])
    const rig = new TaskRig(topology, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'x'), at(3, 'v'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'v'])
    expect(rig.values('app-dead-letters')).toEqual(['x'])
  })

  test('a value in a store that is too large for its changelog stops the task at the seal', async () => {
    const topology = topologyOf([
      {
        nodes: [source('a'), process('grow', ['a'], growing, ['table']), sink(['grow'])],
        stores: [tableStore('table')],
      },
    ])
    const rig = new TaskRig(topology, oneInput)
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'))
    rig.run(task)
    const error = thrownBy(() => task.seal(rig.progressOf))
    expect(error).toBeInstanceOf(TaskError)
    expect(error).toMatchObject({ code: 'STORE_REFUSED', cause: { code: 'RECORD_TOO_LARGE' } })
    expect(String(error)).toContain('store table')
  })

  test('outputs are split into batches of about half a megabyte', async () => {
    const topology = topologyOf([{ nodes: [source('a'), sink(['a'])] }])
    const rig = new TaskRig(topology, oneInput)
    const task = await rig.task(0, 0)
    for (let n = 0; n < 30; n++) rig.append('a', 0, at(n, `${n}`.padEnd(100_000, '.')))
    rig.run(task)
    const sealed = await rig.commit(task)
    const sizes = sealed?.appends.map(({ bytes }) => bytes.length) ?? []
    expect(sizes.length).toBe(6)
    expect(Math.max(...sizes)).toBeLessThan(700_000)
    expect(rig.values('out').map((value) => Number.parseInt(value ?? '', 10))).toEqual(
      Array.from({ length: 30 }, (_, n) => n),
    )
  })
})

describe('a record too far ahead (R14)', () => {
  const topology = topologyOf([{ nodes: [source('a', { maxAdvanceMs: 1000 }), sink(['a'])] }])

  test('of stream time and clock goes to the dead letters, and the verdict to the journal', async () => {
    const rig = new TaskRig(topology, oneInput)
    rig.nowMs = 10_000
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(11_000, 'u'), at(12_001, 'v'), at(12_000, 'w'))
    rig.run(task)
    const sealed = await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'w'])
    const [letter] = rig.records('app-dead-letters', 0)
    expect(letter?.value).toBe('v')
    const message = letter?.headers.find(([name]) => name === '__streams.errors.message')?.[1]
    expect(String(message)).toContain('1000 ms ahead')
    expect(journalOf(rig)[0]?.entries).toEqual([{ kind: 'reject', input: 0, offset: 1 }])
    expect(decodeMetadata(sealed?.offsets[0]?.metadata ?? '').partitionTimeMs).toBe(12_000)
  })

  test('is measured from the later of the two', async () => {
    const rig = new TaskRig(topology, oneInput)
    rig.nowMs = 0
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1000, 'u'), at(2000, 'v'), at(3000, 'w'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'v', 'w'])
    expect(journalOf(rig)).toEqual([])
  })
})
