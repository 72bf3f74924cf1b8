import { expect, test } from 'bun:test'
import { readBatchHeader, type Compression, type Log } from '#log'
import { createMemoryLog } from '#log/memory'
import { long, string, StreamsBuilder, topic } from '#topology'
import { Streams } from './streams.ts'
import { appendTexts, readTexts } from './test-helpers/log-texts.ts'

const words = topic('words', { key: string(), value: string() })
const counts = topic('counts', { key: string(), value: long() })
const WRITTEN = ['counts', 'counter-by-value-repartition', 'counter-word-counts-changelog']

function countWords() {
  const builder = new StreamsBuilder('counter')
  const table = builder
    .stream(words)
    .selectKey((value) => value)
    .repartition('by-value', { key: string(), value: string() })
    .groupByKey()
    .count('word-counts')
  table.toStream().to(counts)
  return { topology: builder.build(), table }
}

async function compressionsIn(log: Log, topic: string): Promise<readonly string[]> {
  const place = { topic, partition: 0 }
  const end = await log.endOffset(place, 'read-committed')
  const reader = log.reader()
  reader.assign([{ ...place, position: 0 }])
  const found = new Set<string>()
  while ((reader.progress(place)?.position ?? 0) < end) {
    for (const { bytes } of await reader.poll({ waitMs: 10, bytesMax: 1 << 20 })) {
      found.add(readBatchHeader(bytes).compression)
    }
  }
  await reader.close()
  return [...found]
}

test.each<Compression>(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
  'compression %s is that of outputs, repartition topics and changelogs, and a restore reads it',
  async (compression) => {
    const log = createMemoryLog()
    for (const name of ['words', 'counts']) {
      await log.createTopics([{ topic: name, partitions: 1, config: {} }])
    }
    const records = Array.from({ length: 2_000 }, (_, n) => ['key', `word-${n % 100}`] as const)
    await appendTexts(log, 'words', records)
    const run = async (check: (total: number) => void): Promise<void> => {
      const { topology, table } = countWords()
      // In memory: what the second start knows, it has from the changelog.
      const options = { log, backend: 'memory', compression, commitIntervalMs: 2_000 } as const
      const streams = new Streams(topology, options)
      await streams.start()
      while ((await streams.lag()).some(({ lagRecords }) => lagRecords > 0)) await Bun.sleep(2)
      const rows = await streams.query(table).range()
      check(rows.value.reduce((sum, { value }) => sum + value, 0))
      await streams.close()
    }
    await run((total) => expect(total).toBe(2_000))
    for (const written of WRITTEN) {
      expect([written, await compressionsIn(log, written)]).toEqual([written, [compression]])
    }
    expect(await readTexts(log, 'counts', long())).toHaveLength(2_000)
    await run((total) => expect(total).toBe(2_000))
    expect(await readTexts(log, 'counts', long())).toHaveLength(2_000)
  },
  20_000,
)
