/** Appends and reads records whose keys are texts: what tests put in and look at. */
import { NO_HEADERS, partitionFor, RecordBatchWriter, RecordCursor, type Log } from '#log'
import { string, type Serde } from '#topology'

const utf8 = new TextEncoder()

/** Each to the partition of its key; one batch a partition and call. */
export async function appendTexts(
  log: Log,
  topic: string,
  records: readonly (readonly [key: string, value: string, timestampMs?: number])[],
): Promise<void> {
  const [described] = await log.describeTopics([topic])
  const batches = Array.from({ length: described?.partitions ?? 0 }, () => new RecordBatchWriter())
  for (const [key, value, timestampMs = 0] of records) {
    const bytes = utf8.encode(key)
    batches[partitionFor(bytes, batches.length)]?.add(
      timestampMs,
      bytes,
      utf8.encode(value),
      NO_HEADERS,
    )
  }
  const writer = await log.writer()
  for (const [partition, batch] of batches.entries()) {
    const { count } = batch
    if (count > 0) await writer.append({ topic, partition, bytes: batch.finish(), count })
  }
  await writer.close()
}

/** Every committed record, partition by partition. */
export async function readTexts<V>(
  log: Log,
  topic: string,
  value: Serde<V>,
): Promise<readonly (readonly [key: string, value: V | null])[]> {
  return (await readPartitions(log, topic, value)).flat()
}

export async function readPartitions<V>(
  log: Log,
  topic: string,
  value: Serde<V>,
): Promise<readonly (readonly (readonly [key: string, value: V | null])[])[]> {
  const [described] = await log.describeTopics([topic])
  const keys = string()
  return Promise.all(
    Array.from({ length: described?.partitions ?? 0 }, async (_, partition) => {
      const place = { topic, partition }
      const end = await log.endOffset(place, 'read-committed')
      const reader = log.reader({ isolation: 'read-committed' })
      reader.assign([{ ...place, position: await log.earliestOffset(place) }])
      const found: [string, V | null][] = []
      const cursor = new RecordCursor()
      while ((reader.progress(place)?.position ?? 0) < end) {
        for (const batch of await reader.poll({ waitMs: 10, bytesMax: 1 << 20 })) {
          cursor.open(batch.bytes, batch)
          while (cursor.next()) {
            const { buffer, keyStart, keyEnd, valueStart, valueEnd } = cursor
            found.push([
              keyStart < 0 ? '' : keys.read(buffer, keyStart, keyEnd),
              valueStart < 0 ? null : value.read(buffer, valueStart, valueEnd),
            ])
          }
        }
      }
      await reader.close()
      return found
    }),
  )
}
