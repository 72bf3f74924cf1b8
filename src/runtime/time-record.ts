/**
 * A record that carries time across a repartition (R12): null key, null value, and the header `millrace-time`.
 *
 * Invariant: whoever does not know time records drops them with the other null keys; whoever does never passes them on.
 *
 * The header's value: version 1 ‖ flags (bit 0: idle) ‖ time (8) ‖ sub-topology (4) ‖ task's partition (4) ‖ sending node, to
 * the end. Task 0_3 says that its node `tally` is at 60,000 and falls idle:
 *
 *     01 01 000000000000ea60 00000000 00000003 74616c6c79
 */
import type { Buffer } from 'node:buffer'
import type { RawRecord, RecordHeaders } from '#log'
import { asBuffer, ByteWriter, readInt64 } from '#system'

export const TIME_HEADER = 'millrace-time'

const VERSION = 1
const IDLE = 1
const NODE_AT = 18

/** What one sending node of one upstream task has announced. */
export interface AnnouncedTime {
  readonly subTopology: number
  readonly partition: number
  readonly node: string
  readonly timeMs: number
  readonly idle: boolean
}

export function timeHeaders(announced: AnnouncedTime): RecordHeaders {
  const writer = new ByteWriter(64)
  writer.uint8(VERSION)
  writer.uint8(announced.idle ? IDLE : 0)
  writer.int64(announced.timeMs)
  writer.int32(announced.subTopology)
  writer.int32(announced.partition)
  writer.utf8(announced.node)
  return [[TIME_HEADER, writer.copy()]]
}

/** Undefined for every other record. A version from the future is left alone: it says nothing that we could use. */
export function readTimeRecord(record: RawRecord): AnnouncedTime | undefined {
  if (record.headerCount === 0 || record.keyStart >= 0 || record.valueStart >= 0) return undefined
  const value = record.headers().find(([name]) => name === TIME_HEADER)?.[1]
  if (!value || value.length < NODE_AT) return undefined
  const bytes: Buffer = asBuffer(value)
  if (bytes[0] !== VERSION) return undefined
  return {
    idle: bytes.readUInt8(1) === IDLE,
    timeMs: readInt64(bytes, 2),
    subTopology: bytes.readInt32BE(10),
    partition: bytes.readInt32BE(14),
    node: bytes.utf8Slice(NODE_AT, bytes.length),
  }
}
