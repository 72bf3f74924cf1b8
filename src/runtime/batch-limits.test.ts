import { describe, expect, test } from 'bun:test'
import { string, StreamsBuilder, topic } from '#topology'
import { at, owned, TaskRig, thrownBy } from './test-helper/task-rig.ts'
import { pairs, process, sink, source, topologyOf } from './test-helper/topologies.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster } from './test-helpers/test-cluster.ts'

const copying = topologyOf([
  {
    nodes: [
      source('a'),
      process(
        'grow',
        ['a'],
        pairs((value, key) => [
          [key, value.startsWith('x') ? 'x'.repeat(Number(value.slice(1))) : value],
        ]),
      ),
      sink(['grow']),
    ],
  },
])
const partitions = { a: 1, out: 1, ...owned }
const sizesOf = (appends: readonly { topic: string; bytes: Uint8Array }[] = []): number[] =>
  appends.filter(({ topic }) => topic === 'out').map(({ bytes }) => bytes.length)

describe('the largest batch that a topic takes (max.message.bytes)', () => {
  test('is what outputs are split by', async () => {
    const rig = new TaskRig(copying, { partitions, batchLimits: { out: 1_000 } })
    const task = await rig.task(0, 0)
    for (let n = 0; n < 40; n++) rig.append('a', 0, at(n, 'x90'))
    rig.run(task)
    const sizes = sizesOf((await rig.commit(task))?.appends)
    expect(sizes.length).toBeGreaterThan(3)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000)
    expect(rig.values('out')).toHaveLength(40)
  })

  test('makes a record that is larger alone a dead letter that names topic and sizes (R15)', async () => {
    const rig = new TaskRig(copying, { partitions, batchLimits: { out: 1_000 } })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'x2000'), at(3, 'v'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u', 'v'])
    const [letter] = rig.records('app-dead-letters', 0)
    expect(letter?.value).toBe('x2000')
    const message = letter?.headers.find(([name]) => name.endsWith('.message'))?.[1]
    expect(String(message)).toMatch(/out-0 makes a batch of 20\d\d bytes.*takes 1000/)
  })

  test('that is larger than the default is used whole', async () => {
    const rig = new TaskRig(copying, { partitions, batchLimits: { out: 4_000_000 } })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'x3000000'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')[0]).toHaveLength(3_000_000)
  })

  test('and onProcessingError stop give a TaskError at the record', async () => {
    const options = { onProcessingError: 'stop' } as const
    const rig = new TaskRig(copying, { partitions, batchLimits: { out: 1_000 }, options })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'x2000'))
    expect(thrownBy(() => rig.run(task))).toMatchObject({
      code: 'PROCESSING_FAILED',
      at: { topic: 'a', partition: 0, offset: 1 },
      message: expect.stringContaining('out-0'),
    })
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
  })

  test('reaches tasks from the log: the worker goes on past a record that its topic does not take', async () => {
    const text = { key: string(), value: string() }
    const builder = new StreamsBuilder('copy')
    builder
      .stream(topic('words', text))
      .mapValues((value) => (value === 'long' ? value.repeat(500) : value))
      .to(topic('copies', text))
    const cluster = await TestCluster.of(builder.build(), [
      { topic: 'words', partitions: 1, config: {} },
      { topic: 'copies', partitions: 1, config: { 'max.message.bytes': '1000' } },
    ])
    const process = cluster.start()
    const nowMs = cluster.clock.nowMs()
    await appendTexts(cluster.log, 'words', [
      ['k', 'a', nowMs],
      ['k', 'long', nowMs],
      ['k', 'b', nowMs],
    ])
    await cluster.caughtUp()
    expect(process.error).toBeUndefined()
    expect((await readTexts(cluster.log, 'copies', string())).map(([, value]) => value)).toEqual([
      'a',
      'b',
    ])
    expect(process.saw('dead-letter')).toBe(1)
  })
})

describe('a dead letter always fits into its topic', () => {
  const numberIn = (
    letter: { headers: readonly (readonly [string, Uint8Array | null])[] } | undefined,
    name: string,
  ): number => Number(String(letter?.headers.find(([each]) => each === name)?.[1] ?? '-1'))

  test('its value is cut, and it says how long it was', async () => {
    const rig = new TaskRig(copying, { partitions, batchRecords: 1 })
    const task = await rig.task(0, 0)
    const value = `bad ${'y'.repeat(1_048_000)}`
    rig.append('a', 0, at(1, value), at(2, 'u'))
    rig.run(task)
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
    const [letter] = rig.records('app-dead-letters', 0)
    expect(letter?.key).toBe('k')
    expect(value.startsWith(letter?.value ?? 'nothing')).toBe(true)
    expect(letter?.value?.length).toBeGreaterThan(1_030_000)
    expect(numberIn(letter, 'millrace-value-bytes')).toBe(value.length)
    expect(numberIn(letter, 'millrace-key-bytes')).toBe(-1)
  })

  test('so are key and headers where the value is not what is too large', async () => {
    const rig = new TaskRig(copying, { partitions, batchLimits: { 'app-dead-letters': 1_000 } })
    const task = await rig.task(0, 0)
    const headers = [['h', new Uint8Array(900)]] as const
    rig.append('a', 0, { ...at(1, 'bad value', 'k'.repeat(2_000)), headers })
    rig.run(task)
    const sealed = await rig.commit(task)
    const [letter] = rig.records('app-dead-letters', 0)
    expect(letter?.key).toMatch(/^k+$/)
    expect(numberIn(letter, 'millrace-key-bytes')).toBe(2_000)
    expect(numberIn(letter, 'millrace-value-bytes')).toBe('bad value'.length)
    expect(numberIn(letter, 'millrace-headers')).toBe(1)
    expect(numberIn(letter, '__streams.errors.offset')).toBe(0)
    expect(
      Math.max(...(sealed?.appends ?? []).map(({ bytes }) => bytes.length)),
    ).toBeLessThanOrEqual(1_000)
  })

  test('a topic that takes next to nothing stops the task, which names both', async () => {
    const rig = new TaskRig(copying, { partitions, batchLimits: { 'app-dead-letters': 100 } })
    const task = await rig.task(0, 0)
    rig.append('a', 0, at(1, 'u'), at(2, 'bad'))
    expect(thrownBy(() => rig.run(task))).toMatchObject({
      code: 'DECODE_FAILED',
      at: { topic: 'a', partition: 0, offset: 1 },
      message: expect.stringMatching(/app-dead-letters-0.*max\.message\.bytes/),
    })
    await rig.commit(task)
    expect(rig.values('out')).toEqual(['u'])
  })
})
