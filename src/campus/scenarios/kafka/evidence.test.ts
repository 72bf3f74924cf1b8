import { afterEach, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { openLog, RecordBatchWriter } from '#millrace'
import { keepEvidence } from './evidence.ts'

const NO_HEADERS: readonly [] = []
const paths: string[] = []
afterEach(() => {
  for (const path of paths.splice(0)) rmSync(path)
})

test('every record of every topic is kept, with who wrote it', async () => {
  const log = await openLog('memory:')
  await log.createTopics(['a', 'b'].map((topic) => ({ topic, partitions: 2, config: {} })))
  const writer = await log.writer()
  for (const [topic, partition, value] of [
    ['a', 1, 'one'],
    ['a', 1, 'x'.repeat(500)],
    ['b', 0, null],
  ] as const) {
    const batch = new RecordBatchWriter()
    batch.add(7, Buffer.from('k'), value === null ? null : Buffer.from(value), NO_HEADERS)
    await writer.append({ topic, partition, bytes: batch.finish(), count: 1 })
  }
  const path = await keepEvidence(log, 'drill')
  paths.push(path)
  const lines = (await Bun.file(path).text()).trim().split('\n')
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(records).toMatchObject([
    { topic: 'a', partition: 1, baseOffset: 0, records: [[0, 7, 'k', 'one']] },
    { topic: 'a', partition: 1, baseOffset: 1, records: [[1, 7, 'k', 'x'.repeat(120)]] },
    { topic: 'b', partition: 0, baseOffset: 0, transactional: false, records: [[0, 7, 'k', null]] },
  ])
  expect(records.some((record) => 'hidden' in record || 'cutOff' in record)).toBe(false)
  await writer.close()
  await log.close()
})
