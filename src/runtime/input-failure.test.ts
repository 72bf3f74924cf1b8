import { describe, expect, test } from 'bun:test'
import { crc32c, LogError, type Log, type TopicPartition } from '#log'
import { createMemoryLog } from '#log/memory'
import { asBuffer } from '#system'
import { string, StreamsBuilder, topic, type Topology } from '#topology'
import { Streams, type StreamsEvents } from './streams.ts'
import { appendTexts, readPartitions } from './test-helpers/log-texts.ts'
import { TestCluster, type TestProcess } from './test-helpers/test-cluster.ts'
import { metricsOf } from './worker-host.ts'

const text = { key: string(), value: string() }
const damaged: TopicPartition = { topic: 'words', partition: 0 }

const topics = ['words', 'copies'].map((name) => ({ topic: name, partitions: 2, config: {} }))

function copy(): Topology {
  const builder = new StreamsBuilder('copy')
  builder.stream(topic('words', text)).to(topic('copies', text))
  return builder.build()
}

/** One batch in each partition: `a` is of the first, `d` of the second. */
async function append({ log }: { readonly log: Log }, value: string): Promise<void> {
  await appendTexts(log, 'words', [
    ['a', value],
    ['d', value],
  ])
}

async function copies(cluster: TestCluster): Promise<readonly (readonly (string | null)[])[]> {
  const partitions = await readPartitions(cluster.log, 'copies', string())
  return partitions.map((records) => records.map(([, value]) => value))
}

/** The bytes that the log keeps of the first partition's batches, to be damaged. */
async function keptBatches({ log }: { readonly log: Log }): Promise<readonly Buffer[]> {
  const reader = log.reader()
  reader.assign([{ ...damaged, position: 0 }])
  const batches = await reader.poll({ waitMs: 0, bytesMax: 1_000_000 })
  await reader.close()
  return batches.map(({ bytes }) => asBuffer(bytes))
}

const stateOf = (member: TestProcess, taskId: string): string | undefined =>
  metricsOf(member.worker).tasks.find((task) => task.taskId === taskId)?.state

const committedOf = async (cluster: TestCluster): Promise<number | undefined> =>
  (await cluster.log.committedOffsets('copy', [damaged])).get('words-0')?.offset

/** Every batch after the first is damaged: its checksum, or what is inside under a right checksum. */
const DAMAGES: readonly (readonly [what: string, damage: (bytes: Buffer) => void, told: string])[] =
  [
    ['a flipped bit', (bytes) => bytes.writeInt8(bytes.readInt8(66) ^ 1, 66), 'checksum'],
    [
      'a record that is longer than its batch, under a right checksum',
      (bytes) => {
        bytes.writeUInt8(0x7e, 61)
        bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
      },
      'the length of a record does not fit',
    ],
  ]

describe('a damaged batch of one partition', () => {
  test.each(DAMAGES)(
    '(%s) stops the task that reads it, and no other',
    async (_, damage, found) => {
      const cluster = await TestCluster.of(copy(), topics)
      await append(cluster, '1')
      await append(cluster, '2')
      damage((await keptBatches(cluster))[1] as Buffer)
      const member = cluster.start()
      await cluster.until(() => member.saw('task-failed') > 0, 'a failed task')
      await append(cluster, '3')
      await cluster.until(async () => (await copies(cluster))[1]?.length === 3, 'the others')
      expect(await copies(cluster)).toEqual([['1'], ['1', '2', '3']])
      expect(await committedOf(cluster)).toBe(1)
      expect([stateOf(member, '0_0'), stateOf(member, '0_1')]).toEqual(['failed', 'running'])
      const told = member.happenings.filter(({ kind }) => kind === 'task-failed')
      expect(told).toEqual([
        {
          kind: 'task-failed',
          applicationId: 'copy',
          taskId: '0_0',
          ...damaged,
          offset: 1,
          error: expect.stringMatching(/words-0 offset 1: .*Restore the topic from a copy/s),
        },
      ])
      expect(JSON.stringify(told)).toContain(found)
      expect(member.error).toBeUndefined()
      expect(member.state).toBe('running')
    },
  )

  test('is met again by whoever recovers the task, and stops nobody else then either', async () => {
    const cluster = await TestCluster.of(copy(), topics)
    await append(cluster, '1')
    await append(cluster, '2')
    DAMAGES[0]?.[1]((await keptBatches(cluster))[1] as Buffer)
    const member = cluster.start()
    await cluster.until(() => member.saw('task-failed') === 1, 'a failed task')
    const error = new LogError('LOG_UNAVAILABLE', 'aborted', { retriable: true })
    member.log.loseNextRequest = () => ({ outcome: 'aborted', error })
    await append(cluster, '3')
    await cluster.until(() => member.saw('task-failed') === 2, 'met again')
    await cluster.until(async () => (await copies(cluster))[1]?.length === 3, 'the others')
    expect(member.worker.counters.recoveries).toBe(1)
    expect(member.error).toBeUndefined()
  })
})

test('`Streams` tells of a task that has failed, and goes on running', async () => {
  const log = createMemoryLog()
  await log.createTopics(topics)
  await append({ log }, '1')
  DAMAGES[0]?.[1]((await keptBatches({ log }))[0] as Buffer)
  const streams = new Streams(copy(), { log, backend: 'memory' })
  const told = Promise.withResolvers<StreamsEvents['task-failed']>()
  streams.on('task-failed', (event) => told.resolve(event))
  await streams.start()
  expect(await told.promise).toMatchObject({ taskId: '0_0', ...damaged, offset: 0 })
  expect(streams.state).toBe('running')
  const failed = streams.metrics.tasks.filter(({ state }) => state === 'failed')
  expect(failed).toMatchObject([{ taskId: '0_0', failure: (await told.promise).error }])
  await streams.close()
  expect(streams.failure).toBeUndefined()
  await log.close()
})

describe('an input that no longer has what comes next (R22)', () => {
  /** The next poll says so of the first partition. */
  function loseInput(cluster: TestCluster): { arm: () => void } {
    let isArmed = false
    const readers = cluster.log.reader.bind(cluster.log)
    cluster.log.reader = (options) => {
      const reader = readers(options)
      const poll = reader.poll.bind(reader)
      reader.poll = async (wanted) => {
        const batches = await poll(wanted)
        if (!isArmed || batches.length > 0) return batches
        isArmed = false
        throw new LogError('OFFSET_OUT_OF_RANGE', 'gone', { at: { ...damaged, offset: 1 } })
      }
      return reader
    }
    return {
      arm: () => {
        isArmed = true
      },
    }
  }

  test('stops its task with OFFSETS_LOST; the others go on, also when all are recovered', async () => {
    const cluster = await TestCluster.of(copy(), topics)
    const input = loseInput(cluster)
    const member = cluster.start()
    await append(cluster, '1')
    await cluster.caughtUp()
    input.arm()
    await cluster.until(() => member.saw('task-failed') === 1, 'a failed task')
    expect(metricsOf(member.worker).tasks[0]).toMatchObject({
      taskId: '0_0',
      state: 'failed',
      failure: expect.stringMatching(/next offset of words-0 is 1.*Reset copy/s),
    })
    await append(cluster, '2')
    await cluster.until(async () => (await copies(cluster))[1]?.length === 2, 'the others')

    await cluster.log.deleteRecords(damaged, 2)
    const error = new LogError('LOG_UNAVAILABLE', 'aborted', { retriable: true })
    member.log.loseNextRequest = () => ({ outcome: 'aborted', error })
    await append(cluster, '3')
    await cluster.until(() => member.saw('task-failed') === 2, 'not recovered')
    await cluster.until(async () => (await copies(cluster))[1]?.length === 3, 'the others')
    expect(await copies(cluster)).toEqual([['1'], ['1', '2', '3']])
    expect([stateOf(member, '0_0'), stateOf(member, '0_1')]).toEqual(['failed', 'running'])
    expect(member.error).toBeUndefined()
    expect(member.state).toBe('running')
  })
})
