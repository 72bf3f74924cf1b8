/** Everything in a topic as bytes, for comparing with what Java's client wrote or read. */
import { Buffer } from 'node:buffer'

import type { Compression } from '../../compression.ts'
import { readToEnd } from '../../log.contract/records.ts'
import type { Isolation, Log } from '../../log.ts'
import { readBatchHeader } from '../../record-batch.ts'
import { RecordCursor } from '../../record-cursor.ts'

/** Keys, values and headers' values in hexadecimal. */
export interface BytesRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string | null])[]
}

export const hexOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

/** Partition by partition, and what the batches were compressed with. */
export async function readBytes(
  log: Log,
  topic: string,
  isolation: Isolation = 'read-committed',
): Promise<{
  readonly records: readonly BytesRecord[]
  readonly compressions: ReadonlySet<Compression>
}> {
  const [described] = await log.describeTopics([topic])
  const records: BytesRecord[] = []
  const compressions = new Set<Compression>()
  for (let partition = 0; partition < (described?.partitions ?? 0); partition += 1) {
    const place = { topic, partition }
    const reader = log.reader({ isolation })
    reader.assign([{ ...place, position: 0 }])
    const cursor = new RecordCursor()
    for (const batch of await readToEnd(reader, place)) {
      compressions.add(readBatchHeader(batch.bytes).compression)
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        const { buffer, keyStart, keyEnd, valueStart, valueEnd, offset, timestampMs } = cursor
        records.push({
          partition,
          offset,
          timestamp: timestampMs,
          key: keyStart < 0 ? null : buffer.toString('hex', keyStart, keyEnd),
          value: valueStart < 0 ? null : buffer.toString('hex', valueStart, valueEnd),
          headers: cursor.headers().map(([name, value]) => [name, hexOf(value)]),
        })
      }
    }
    await reader.close()
  }
  return { records, compressions }
}
