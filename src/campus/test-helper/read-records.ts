/**
 * Reads a topic as the invariants take it: everything that is committed, partition by partition.
 *
 * Invariant: what is read ends where the partition ended when it was asked.
 */
import { RecordCursor, type Log } from '#millrace'
import type { CampusRecord } from '../invariants.ts'

const text = new TextDecoder()

export async function readRecords(log: Log, topic: string): Promise<readonly CampusRecord[]> {
  const [described] = await log.describeTopics([topic])
  const records: CampusRecord[] = []
  for (let partition = 0; partition < (described?.partitions ?? 0); partition += 1)
    await readPartition(log, topic, partition, records)
  return records
}

async function readPartition(
  log: Log,
  topic: string,
  partition: number,
  into: CampusRecord[],
): Promise<void> {
  const place = { topic, partition }
  const end = await log.endOffset(place, 'read-committed')
  const position = await log.earliestOffset(place)
  if (position >= end) return
  const reader = log.reader({ isolation: 'read-committed' })
  try {
    reader.assign([{ ...place, position }])
    const cursor = new RecordCursor()
    while ((reader.progress(place)?.position ?? 0) < end) {
      for (const batch of await reader.poll({ waitMs: 0, bytesMax: 4 << 20 })) {
        cursor.open(batch.bytes, batch)
        while (cursor.next()) if (cursor.offset < end) into.push(recordOf(cursor, place))
      }
    }
  } finally {
    await reader.close()
  }
}

function recordOf(
  cursor: RecordCursor,
  place: { readonly topic: string; readonly partition: number },
): CampusRecord {
  const { buffer, offset, timestampMs, keyStart, keyEnd, valueStart, valueEnd } = cursor
  return {
    ...place,
    offset,
    timestamp: timestampMs,
    key: keyStart < 0 ? null : buffer.utf8Slice(keyStart, keyEnd),
    value: valueStart < 0 ? null : buffer.utf8Slice(valueStart, valueEnd),
    headers: cursor
      .headers()
      .map(([name, value]) => [name, value === null ? null : text.decode(value)]),
  }
}
