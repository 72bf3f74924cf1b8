/**
 * Reads campus's topics for the invariants, from the log's file, beside a running application or without one.
 *
 * Invariant: a feed ends at the offset that was the end when it was asked for.
 */
import { RecordCursor, openLog, systemClock, systemRandom, type Log } from '#millrace'
import {
  checkCampus,
  type CampusRecord,
  type CampusReport,
  type CheckOptions,
} from '../invariants.ts'
import { inventoryEvents, lateRecords, metrics, notifications, orders, stock } from '../topics.ts'

const BYTES_MAX = 4_194_304
const WAIT_MS = 200

export async function check(logUrl: string, options: CheckOptions): Promise<CampusReport> {
  const log = await openLog(logUrl, { clock: systemClock, random: systemRandom })
  try {
    // Downstream first: what is read of a verdict must find its order.
    const notes = await collect(log, notifications.name)
    const late = await collect(log, lateRecords.name)
    const minutes = await collect(log, metrics.name)
    const events = await collect(log, inventoryEvents.name)
    const restocks = await collect(log, stock.name)
    const placed = await collect(log, orders.name)
    const feeds = {
      orders: placed,
      stock: restocks,
      'inventory-events': events,
      metrics: minutes,
      late,
      notifications: notes,
    }
    return await checkCampus(feeds, options)
  } finally {
    await log.close()
  }
}

async function collect(log: Log, topic: string): Promise<readonly CampusRecord[]> {
  const [description] = await log.describeTopics([topic])
  const records: CampusRecord[] = []
  for (let partition = 0; partition < (description?.partitions ?? 0); partition += 1)
    for await (const record of partitionFeed(log, topic, partition)) records.push(record)
  return records
}

async function* partitionFeed(
  log: Log,
  topic: string,
  partition: number,
): AsyncGenerator<CampusRecord> {
  const at = { topic, partition }
  const end = await log.endOffset(at, 'read-committed')
  let position = await log.earliestOffset(at)
  const reader = log.reader()
  try {
    reader.assign([{ ...at, position }])
    const cursor = new RecordCursor()
    while (position < end) {
      const batches = await reader.poll({ waitMs: WAIT_MS, bytesMax: BYTES_MAX })
      for (const batch of batches) {
        cursor.open(batch.bytes, batch)
        while (cursor.next()) {
          if (cursor.offset >= end) break
          yield recordOf(cursor, topic, partition)
        }
        position = batch.nextOffset
      }
      if (batches.length === 0) position = Math.max(position, reader.progress(at)?.position ?? 0)
    }
  } finally {
    await reader.close()
  }
}

function recordOf(cursor: RecordCursor, topic: string, partition: number): CampusRecord {
  const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor
  return {
    topic,
    partition,
    offset: cursor.offset,
    timestamp: cursor.timestampMs,
    key: keyStart < 0 ? null : buffer.utf8Slice(keyStart, keyEnd),
    value: valueStart < 0 ? null : buffer.utf8Slice(valueStart, valueEnd),
    headers: cursor
      .headers()
      .map(([name, value]) => [name, value === null ? null : new TextDecoder().decode(value)]),
  }
}
