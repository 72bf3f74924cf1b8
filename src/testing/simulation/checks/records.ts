/**
 * Records taken out of their batches, for checks that compare them.
 *
 * Invariant: what is answered is a copy; texts have one character a byte, so that equal bytes are equal texts.
 */
import { RecordCursor, type Append, type RecordHeaders } from '#log'
import { asBuffer } from '#system'

export interface PlainRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly headers: RecordHeaders
}

/** All records of batches that stand one after the other. */
export function recordsOf({ topic, partition, bytes }: Omit<Append, 'count'>): PlainRecord[] {
  const records: PlainRecord[] = []
  const cursor = new RecordCursor()
  const source = asBuffer(bytes)
  for (let at = 0; at < bytes.length;) {
    const end = at + source.readInt32BE(at + LENGTH_AT) + LENGTH_OVERHEAD
    cursor.open(bytes.subarray(at, end), { topic, partition })
    while (cursor.next()) {
      const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs, offset } = cursor
      records.push({
        offset,
        key: keyStart < 0 ? null : buffer.latin1Slice(keyStart, keyEnd),
        value: valueStart < 0 ? null : buffer.latin1Slice(valueStart, valueEnd),
        timestampMs,
        headers: cursor.headerCount === 0 ? [] : cursor.headers(),
      })
    }
    at = end
  }
  return records
}

const LENGTH_AT = 8
const LENGTH_OVERHEAD = 12

export function bytesOf(text: string): Uint8Array {
  const bytes = asBuffer(new Uint8Array(text.length))
  bytes.latin1Write(text)
  return bytes
}

/** One text a record, for comparing and for people. */
export function textOf({ key, value, timestampMs, headers }: PlainRecord): string {
  const parts = headers.map(
    ([name, bytes]) => `${name}=${bytes === null ? null : shown(asBuffer(bytes).latin1Slice())}`,
  )
  return `${shown(key)} → ${shown(value)} @${timestampMs}${parts.length === 0 ? '' : ` [${parts.join(' ')}]`}`
}

/** Bytes that are no letters, as numbers. */
export function shown(text: string | null): string {
  if (text === null) return 'null'
  return text.replace(
    /[^ -~]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
