/** Records in and out of a log, the short way. */
import { Buffer } from 'node:buffer'

import type { Compression } from '../compression.ts'
import type { Append, FetchedBatch, Isolation, Log, LogReader, TopicPartition } from '../log.ts'
import { RecordBatchWriter } from '../record-batch-writer.ts'
import { RecordCursor } from '../record-cursor.ts'
import type { RecordHeaders } from '../record.ts'

/** One time for a whole run, and now: what is old is deleted where retention does not wait. */
const NOW_MS = Date.now()

export interface PlainRecord {
  readonly key?: string | null
  readonly value?: string | null
  readonly timestampMs?: number
  readonly headers?: RecordHeaders
}

export interface ReadRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly headers: readonly (readonly [string, string | null])[]
}

const bytesOf = (text: string | null): Uint8Array | null => {
  return text === null ? null : Buffer.from(text)
}

/** One batch; a text is a record with that value and no key. */
export function appendOf(
  { topic, partition }: TopicPartition,
  records: readonly (string | PlainRecord)[],
  compression: Compression = 'none',
): Append {
  const writer = new RecordBatchWriter({ compression })
  for (const record of records) {
    const {
      key = null,
      value = null,
      timestampMs = NOW_MS,
      headers = [],
    } = typeof record === 'string' ? { value: record } : record
    writer.add(timestampMs, bytesOf(key), bytesOf(value), headers)
  }
  return { topic, partition, bytes: writer.finish(), count: records.length }
}

/** The records of fetched batches from `position` on, in order. */
export function recordsOf(
  batches: readonly FetchedBatch[],
  position: number = 0,
): readonly ReadRecord[] {
  const cursor = new RecordCursor()
  const records: ReadRecord[] = []
  const text = (start: number, end: number): string | null => {
    return start === -1 ? null : cursor.buffer.utf8Slice(start, end)
  }
  for (const batch of batches) {
    cursor.open(batch.bytes, batch)
    while (cursor.next()) {
      if (cursor.offset < position) continue
      records.push({
        offset: cursor.offset,
        key: text(cursor.keyStart, cursor.keyEnd),
        value: text(cursor.valueStart, cursor.valueEnd),
        timestampMs: cursor.timestampMs,
        headers: cursor
          .headers()
          .map(([name, value]) => [name, value && Buffer.from(value).toString()]),
      })
    }
  }
  return records
}

export function valuesOf(records: readonly ReadRecord[]): readonly (string | null)[] {
  return records.map(({ value }) => value)
}

/** Polls until the reader is at the high watermark of `place`. */
export async function readToEnd(
  reader: LogReader,
  place: TopicPartition,
): Promise<readonly FetchedBatch[]> {
  const batches: FetchedBatch[] = []
  for (;;) {
    batches.push(...(await reader.poll({ waitMs: 20, bytesMax: 1 << 20 })))
    const progress = reader.progress(place)
    if (progress && progress.position >= progress.highWatermark && progress.fetchedAtMs >= 0) {
      return batches
    }
  }
}

/** Everything in a partition from `position`, the earliest offset unless given. */
export async function readPartition(
  log: Log,
  place: TopicPartition,
  options: { readonly position?: number; readonly isolation?: Isolation } = {},
): Promise<readonly ReadRecord[]> {
  const position = options.position ?? (await log.earliestOffset(place))
  const reader = log.reader({ isolation: options.isolation ?? 'read-committed' })
  try {
    reader.assign([{ ...place, position }])
    return recordsOf(await readToEnd(reader, place), position)
  } finally {
    await reader.close()
  }
}

/** Polls until `count` records have come. */
export async function readCount(
  reader: LogReader,
  count: number,
  bytesMax: number = 1 << 20,
): Promise<readonly FetchedBatch[]> {
  const batches: FetchedBatch[] = []
  while (recordsOf(batches).length < count) {
    batches.push(...(await reader.poll({ waitMs: 1_000, bytesMax })))
  }
  return batches
}
