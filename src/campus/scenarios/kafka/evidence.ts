/**
 * What a drill that found something leaves behind: every record of every topic, as lines of JSON, before its brokers are gone.
 *
 * A batch is a line: where it is, who wrote it, and its records (offset, timestamp, key and value in text, cut). Batches that a
 * read-committed reader is not shown say `hidden`.
 *
 * Invariant: the topics are only read; a partition that cannot be read to its end is told, and the others are written.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  readBatchHeader,
  RecordCursor,
  type FetchedBatch,
  type Isolation,
  type Log,
  type TopicPartition,
} from '#millrace'

const READ_MS_MAX = 30_000
const TEXT_LENGTH_MAX = 120

/** Resolves with the file's path. */
export async function keepEvidence(log: Log, name: string): Promise<string> {
  const path = join(tmpdir(), `${name}-${Date.now()}.jsonl`)
  const sink = Bun.file(path).writer()
  for (const { topic, partitions } of await log.describeTopics())
    for (let partition = 0; partition < partitions; partition += 1) {
      const at = { topic, partition }
      const shown = new Set<number>()
      await eachBatch(log, at, 'read-committed', ({ baseOffset }) => void shown.add(baseOffset))
      const isWhole = await eachBatch(log, at, 'read-uncommitted', (batch) => {
        sink.write(`${JSON.stringify(lineOf(batch, !shown.has(batch.baseOffset)))}\n`)
      })
      if (!isWhole) sink.write(`${JSON.stringify({ ...at, cutOff: true })}\n`)
    }
  await sink.end()
  return path
}

/** False if the end was not reached in time. */
async function eachBatch(
  log: Log,
  at: TopicPartition,
  isolation: Isolation,
  take: (batch: FetchedBatch) => void,
): Promise<boolean> {
  const end = await log.endOffset(at, isolation)
  const reader = log.reader({ isolation })
  try {
    reader.assign([{ ...at, position: await log.earliestOffset(at) }])
    const endMs = performance.now() + READ_MS_MAX
    while ((reader.progress(at)?.position ?? 0) < end) {
      if (performance.now() > endMs) return false
      for (const batch of await reader.poll({ waitMs: 200, bytesMax: 4 << 20 })) take(batch)
    }
    return true
  } finally {
    await reader.close()
  }
}

function lineOf(batch: FetchedBatch, isHidden: boolean): object {
  const { topic, partition, baseOffset, bytes } = batch
  const { producerId, producerEpoch, baseSequence, transactional } = readBatchHeader(bytes)
  const cursor = new RecordCursor()
  cursor.open(bytes, batch)
  const records: unknown[] = []
  while (cursor.next()) {
    const { offset, timestampMs, keyStart, keyEnd, valueStart, valueEnd } = cursor
    records.push([
      offset,
      timestampMs,
      text(cursor, keyStart, keyEnd),
      text(cursor, valueStart, valueEnd),
    ])
  }
  const writer = { producerId, producerEpoch, baseSequence, transactional }
  return { topic, partition, baseOffset, ...(isHidden && { hidden: true }), ...writer, records }
}

function text({ buffer }: RecordCursor, start: number, end: number): string | null {
  if (start < 0) return null
  return buffer.toString('latin1', start, Math.min(end, start + TEXT_LENGTH_MAX))
}
