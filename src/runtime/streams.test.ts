import { describe, expect, test } from 'bun:test'
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { long, string, StreamsBuilder, topic } from '#topology'
import { Streams } from './streams.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })

function countWords() {
  const builder = new StreamsBuilder('counter')
  const table = builder.stream(words).groupByKey().count('word-counts')
  table.toStream().to(counts)
  return { topology: builder.build(), table }
}

async function newLog(partitions = 2): Promise<MemoryLog> {
  const log = createMemoryLog()
  await log.createTopics([
    { topic: 'words', partitions, config: {} },
    { topic: 'counts', partitions, config: {} },
  ])
  return log
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(2)
}

describe('Streams', () => {
  test('counts what is appended, and answers queries with it', async () => {
    const log = await newLog()
    const { topology, table } = countWords()
    const streams = new Streams(topology, { log, backend: 'memory' })
    await streams.start()
    expect(streams.state).toBe('running')
    await appendTexts(
      log,
      'words',
      ['a', 'b', 'a', 'c', 'a'].map((key) => [key, 'x']),
    )
    await until(async () => (await streams.lag()).every(({ lagRecords }) => lagRecords === 0))
    const out = await readTexts(log, 'counts', long())
    expect(out.filter(([key]) => key === 'a')).toEqual([
      ['a', 1],
      ['a', 2],
      ['a', 3],
    ])
    expect((await streams.query(table).get('a')).value).toBe(3)
    expect(
      (await streams.query(table).range()).value.map(({ key, value }) => [key, value]).sort(),
    ).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
    ])
    await streams.close()
    expect(streams.state).toBe('not-running')
    expect(streams.metrics.recordsProcessed).toBe(5)
  })
})
