/** A whole batch as plain values, for comparing. */
import type { TopicPartition } from '../log.ts'
import { RecordCursor } from '../record-cursor.ts'
import type { GoldenRecord } from './golden.ts'

const hexOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

export function decodeBatch(
  bytes: Uint8Array,
  place: TopicPartition,
  cursor: RecordCursor = new RecordCursor(),
): readonly GoldenRecord[] {
  const records: GoldenRecord[] = []
  const slice = (start: number, end: number): Uint8Array | null =>
    start === -1 ? null : cursor.buffer.subarray(start, end)
  cursor.open(bytes, place)
  while (cursor.next()) {
    records.push({
      offset: cursor.offset,
      timestamp: cursor.timestampMs,
      keyHex: hexOf(slice(cursor.keyStart, cursor.keyEnd)),
      valueHex: hexOf(slice(cursor.valueStart, cursor.valueEnd)),
      headers: cursor.headers().map(([name, value]) => [name, hexOf(value)]),
    })
  }
  return records
}
