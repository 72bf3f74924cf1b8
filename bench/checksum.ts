/** What was written to topics, as one number: equal work gives equal checksums. */
import { RecordCursor, type Log, type TopicPartition } from '#log'

/** Every record with a value in its order: key, value and time. */
export async function checksumOf(log: Log, place: TopicPartition): Promise<string> {
  let sum = 0n
  await eachRecord(log, place, (key, value, timestampMs) => {
    sum = Bun.hash.xxHash64(key, sum)
    sum = Bun.hash.xxHash64(value, sum)
    sum = Bun.hash.xxHash64(String(timestampMs), sum)
  })
  return sum.toString(16)
}

/**
 * The last value of each key: what a changelog says, whenever its commits were. Tombstones of what has expired are left out:
 * only the engine expires anything, and pays for it.
 */
export async function foldOf(log: Log, place: TopicPartition): Promise<string> {
  const last = new Map<string, bigint>()
  await eachRecord(log, place, (key, value, timestampMs) => {
    const of = Bun.hash.xxHash64(value, Bun.hash.xxHash64(String(timestampMs)))
    last.set(key.latin1Slice(), Bun.hash.xxHash64(key, of))
  })
  let sum = 0n
  for (const each of last.values()) sum = BigInt.asUintN(64, sum + each)
  return sum.toString(16)
}

/** Everything the partition holds is gone; offsets go on. */
export async function empty(log: Log, place: TopicPartition): Promise<void> {
  await log.deleteRecords(place, await log.endOffset(place, 'read-uncommitted'))
}

async function eachRecord(
  log: Log,
  place: TopicPartition,
  visit: (key: Buffer, value: Buffer, timestampMs: number) => void,
): Promise<void> {
  const end = await log.endOffset(place, 'read-committed')
  const reader = log.reader()
  const cursor = new RecordCursor()
  let position = await log.earliestOffset(place)
  reader.assign([{ ...place, position }])
  while (position < end) {
    for (const batch of await reader.poll({ waitMs: 1_000, bytesMax: 1 << 22 })) {
      cursor.open(batch.bytes, batch)
      while (cursor.next()) {
        const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = cursor
        if (valueStart < 0) continue
        const key = buffer.subarray(keyStart, keyEnd)
        visit(key, buffer.subarray(valueStart, valueEnd), timestampMs)
      }
      position = batch.nextOffset
    }
    position = Math.max(position, reader.progress(place)?.position ?? 0)
  }
  await reader.close()
}
