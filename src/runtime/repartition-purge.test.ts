import { describe, expect, test } from 'bun:test'
import { createMemoryLog } from '#log/memory'
import { VirtualClock } from '#testing'
import { long, string, StreamsBuilder, topic, type Topology } from '#topology'
import { RepartitionPurge } from './repartition-purge.ts'
import { machineOf, repartitionPurgeIntervalMs } from './streams-options.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'
import { TestCluster, type ProcessOptions } from './test-helpers/test-cluster.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const REPARTITION = 'app-by-value-repartition'
const PLACE = { topic: REPARTITION, partition: 0 }

function topology(compatibility?: 'kafka-streams'): Topology {
  const builder = new StreamsBuilder('app', compatibility && { compatibility })
  builder
    .stream(words)
    .selectKey((value) => value)
    .repartition('by-value', { key: string(), value: string() })
    .groupByKey()
    .count('counts')
    .toStream()
    .to(counts)
  return builder.build()
}

async function cluster(): Promise<TestCluster> {
  return TestCluster.of(
    topology(),
    ['words', 'counts'].map((name) => ({ topic: name, partitions: 1, config: {} })),
  )
}

const append = (on: TestCluster, records: number): Promise<void> =>
  appendTexts(
    on.log,
    'words',
    Array.from({ length: records }, () => ['key', 'word'] as const),
  )

/** Purges seen from outside: where they went to, and what was committed when they were asked for. */
async function watched(options: ProcessOptions) {
  const on = await cluster()
  const process = on.start({ instanceId: 'i', ...options })
  const purges: { readonly offset: number; readonly committed: number }[] = []
  const deleteRecords = process.log.deleteRecords.bind(process.log)
  process.log.deleteRecords = async (place, offset) => {
    const committed = await on.log.committedOffsets('app', [place])
    expect(place.topic).toBe(REPARTITION)
    purges.push({ offset, committed: committed.get(`${REPARTITION}-0`)?.offset ?? 0 })
    await deleteRecords(place, offset)
  }
  return { on, process, purges }
}

describe('repartition topics', () => {
  test('lose what is committed each interval, never more, and nobody misses it', async () => {
    const { on, process, purges } = await watched({ repartitionPurgeIntervalMs: 1_000 })
    for (let round = 0; round < 5; round += 1) {
      await append(on, 10)
      await on.caughtUp()
      await on.pass(1_100)
    }
    expect(purges.length).toBeGreaterThanOrEqual(4)
    expect(purges.length).toBeLessThanOrEqual(7)
    for (const { offset, committed } of purges) expect(offset).toBeLessThanOrEqual(committed)
    expect(await on.log.earliestOffset(PLACE)).toBe(50)
    // A restart finds its committed offset at the earliest one, and counts on.
    process.worker.stop(true)
    await process.ended
    on.start({ instanceId: 'i' })
    await append(on, 1)
    await on.caughtUp()
    const found = await readTexts(on.log, 'counts', long())
    expect(found.at(-1)).toEqual(['word', 51])
  })

  test('keep everything unless the application says otherwise, for replay (R11)', async () => {
    const { on, purges } = await watched({})
    await append(on, 10)
    await on.caughtUp()
    await on.pass(120_000)
    expect(purges).toEqual([])
    expect(await on.log.earliestOffset(PLACE)).toBe(0)
  })

  test('are purged every 30 s by default where Kafka Streams is asked for, and the option decides in any case', () => {
    const log = createMemoryLog({ clock: new VirtualClock() })
    const intervalOf = (compatibility?: 'kafka-streams', asked?: number): number =>
      repartitionPurgeIntervalMs(
        asked === undefined ? { log } : { log, repartitionPurgeIntervalMs: asked },
        topology(compatibility),
      )
    expect(intervalOf()).toBe(Number.POSITIVE_INFINITY)
    expect(intervalOf('kafka-streams')).toBe(30_000)
    expect(intervalOf(undefined, 5)).toBe(5)
    expect(intervalOf('kafka-streams', Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('a purge', () => {
  /** A purge over a log that answers when told, and one task that has committed up to `offset`. */
  function setting(changed: (built: Topology) => Topology = (built) => built) {
    const clock = new VirtualClock()
    const log = createMemoryLog({ clock })
    const asked: number[] = []
    let answer: ((error?: Error) => void) | undefined
    log.deleteRecords = (_, offset) => {
      asked.push(offset)
      return new Promise((resolve, reject) => {
        answer = (error) => (error === undefined ? resolve() : reject(error))
      })
    }
    const purge = new RepartitionPurge({
      log,
      topology: changed(topology()),
      machine: machineOf({ clock }),
      repartitionPurgeIntervalMs: 1_000,
    })
    const look = (offset: number, afterMs = 1_000): void => {
      clock.advance(afterMs)
      purge.look([{ inputs: [PLACE], appliedInputs: { [`${REPARTITION}-0`]: offset } }])
    }
    const end = async (error?: Error): Promise<void> => {
      answer?.(error)
      await purge.settle()
    }
    return { asked, look, end }
  }

  test('waits for the interval and for the one before it, and asks only for what is new', async () => {
    const { asked, look, end } = setting()
    look(5, 999)
    expect(asked).toEqual([])
    look(5, 1)
    look(7)
    expect(asked).toEqual([5])
    await end()
    look(5)
    await end()
    expect(asked).toEqual([5])
    look(9)
    expect(asked).toEqual([5, 9])
  })

  test('that fails is made good by the next', async () => {
    const { asked, look, end } = setting()
    look(5)
    await end(new TypeError('the log is away'))
    look(5)
    expect(asked).toEqual([5, 5])
  })

  test('leaves a topic that a store is restored from', () => {
    const { asked, look } = setting((built) => ({
      ...built,
      subTopologies: built.subTopologies.map((sub) => ({
        ...sub,
        stores: sub.stores.map((spec) => ({ ...spec, changelogTopic: 'by-value-repartition' })),
      })),
    }))
    look(5)
    expect(asked).toEqual([])
  })
})
