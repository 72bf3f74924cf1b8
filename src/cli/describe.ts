/**
 * `millrace describe APPLICATION`: the topology that an application stored when it last started.
 *
 * Invariant: runs none of the application's code.
 */
import { RecordCursor, type Log } from '#log'
import { UsageError } from './open.ts'

const WAIT_MS = 500
const BYTES_MAX = 1_048_576

export async function describe(log: Log, application: string): Promise<string> {
  const topic = `${application}-topology`
  const found = await log.describeTopics([topic])
  if (found.length === 0)
    throw new UsageError(`${application} has never started on this log: nothing is stored of it`)
  const end = await log.endOffset({ topic, partition: 0 }, 'read-committed')
  const latest = new Map<string, string>()
  const reader = log.reader()
  try {
    const position = await log.earliestOffset({ topic, partition: 0 })
    reader.assign([{ topic, partition: 0, position }])
    const cursor = new RecordCursor()
    for (let at = position; at < end;) {
      const batches = await reader.poll({ waitMs: WAIT_MS, bytesMax: BYTES_MAX })
      for (const batch of batches) {
        cursor.open(batch.bytes, batch)
        while (cursor.next()) {
          if (cursor.keyStart < 0 || cursor.valueStart < 0) continue
          const { buffer } = cursor
          latest.set(
            buffer.utf8Slice(cursor.keyStart, cursor.keyEnd),
            buffer.utf8Slice(cursor.valueStart, cursor.valueEnd),
          )
        }
        at = batch.nextOffset
      }
      const progress = reader.progress({ topic, partition: 0 })
      if (batches.length === 0) at = Math.max(at, progress?.position ?? 0)
    }
  } finally {
    await reader.close()
  }
  return [...latest].map(([name, text]) => `${name}\n${text}`).join('\n')
}
