/**
 * Kafka's record batch, format version 2: what the logs keep, move and check. This file knows the header and the checksum;
 * `record-batch-writer.ts` encodes records and `record-cursor.ts` decodes them.
 *
 *     0 base offset int64       16 magic int8 = 2        27 base timestamp int64    51 producer epoch int16
 *     8 length int32            17 CRC-32C uint32        35 max timestamp int64     53 base sequence int32
 *    12 leader epoch int32      21 attributes int16      43 producer id int64       57 record count int32
 *                               23 last offset delta int32                          61 records
 *
 * The length counts what follows it; the checksum covers everything from the attributes on. Base offset, length and leader
 * epoch are outside of it, so that a log can set them: a log checks them against what it asked for.
 * Attributes: bits 0–2 compression, 3 timestamp type, 4 transactional, 5 control.
 *
 * Invariant: bytes that `checkBatch` lets pass have every covered bit as it was written.
 */
import { asBuffer, assert, readInt64 } from '#system'
import { Buffer } from 'node:buffer'

import { type Compression, COMPRESSIONS } from './compression.ts'
import { crc32c, crc32cChange } from './crc32c.ts'
import { LogError, type TopicPartition } from './log.ts'

export const BATCH_HEADER_BYTES = 61
export const LENGTH_AT = 8
export const LEADER_EPOCH_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const PRODUCER_EPOCH_AT = 51
export const BASE_SEQUENCE_AT = 53
export const RECORD_COUNT_AT = 57

/** What `length` does not count: base offset and length itself. */
export const LENGTH_OVERHEAD = 12
const TIMESTAMP_TYPE_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20

/** Kafka's default for `max.message.bytes`, kept by every driver: one batch, as appended, is at most this large. */
export const BATCH_BYTES_MAX = 1_048_588

export interface BatchHeader {
  readonly baseOffset: number
  /** The whole batch, header included: the next one starts this much further. */
  readonly sizeBytes: number
  readonly leaderEpoch: number
  readonly compression: Compression
  /** With `log-append-time` every record's timestamp is `maxTimestampMs`. */
  readonly timestampType: 'create-time' | 'log-append-time'
  readonly transactional: boolean
  readonly control: boolean
  readonly lastOffsetDelta: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Reads the header that starts at `at`, believing every byte of it: `checkBatch` is what doubts. */
export function readBatchHeader(bytes: Uint8Array, at: number = 0): BatchHeader {
  const source = asBuffer(bytes)
  assert(at + BATCH_HEADER_BYTES <= source.length, 'a batch header is whole before it is read')
  const attributes = source.readInt16BE(at + ATTRIBUTES_AT)
  return {
    baseOffset: readInt64(source, at),
    sizeBytes: source.readInt32BE(at + LENGTH_AT) + LENGTH_OVERHEAD,
    leaderEpoch: source.readInt32BE(at + LEADER_EPOCH_AT),
    // Codes 5 to 7 are nobody's yet; `checkBatch` refuses them.
    compression: COMPRESSIONS[attributes & 0x07] ?? 'none',
    timestampType: attributes & TIMESTAMP_TYPE_BIT ? 'log-append-time' : 'create-time',
    transactional: (attributes & TRANSACTIONAL_BIT) !== 0,
    control: (attributes & CONTROL_BIT) !== 0,
    lastOffsetDelta: source.readInt32BE(at + LAST_OFFSET_DELTA_AT),
    baseTimestampMs: readInt64(source, at + BASE_TIMESTAMP_AT),
    maxTimestampMs: readInt64(source, at + MAX_TIMESTAMP_AT),
    producerId: readInt64(source, at + PRODUCER_ID_AT),
    producerEpoch: source.readInt16BE(at + PRODUCER_EPOCH_AT),
    baseSequence: source.readInt32BE(at + BASE_SEQUENCE_AT),
    recordCount: source.readInt32BE(at + RECORD_COUNT_AT),
  }
}

/** LOG_CORRUPT for a place in the log. */
export function corruptAt(
  at: TopicPartition & { readonly offset?: number },
  what: string,
  cause?: unknown,
): LogError {
  const offset = at.offset === undefined ? '' : ` at offset ${at.offset}`
  const message = `${at.topic}-${at.partition}${offset}: ${what}`
  return new LogError('LOG_CORRUPT', message, { at, cause })
}

/**
 * Refuses with LOG_CORRUPT what is not exactly one batch of magic 2 whose checksum holds. `offset` is where the caller
 * expects it, for the message; base offset and leader epoch are the caller's to compare (`checkPlace`).
 */
export function checkBatch(
  bytes: Uint8Array,
  at: TopicPartition & { readonly offset: number },
): void {
  if (bytes.length < BATCH_HEADER_BYTES) {
    throw corruptAt(at, `a batch of ${bytes.length} bytes is shorter than its header`)
  }
  const source = asBuffer(bytes)
  if (source[MAGIC_AT] !== 2) {
    throw corruptAt(at, `a batch of magic ${source[MAGIC_AT]}, only 2 is read`)
  }
  const sizeBytes = source.readInt32BE(LENGTH_AT) + LENGTH_OVERHEAD
  if (sizeBytes !== bytes.length) {
    throw corruptAt(at, `a batch of ${bytes.length} bytes says that it has ${sizeBytes}`)
  }
  const stored = source.readUInt32BE(CRC_AT)
  const computed = crc32c(bytes, ATTRIBUTES_AT)
  if (stored !== computed) {
    const hex = (crc: number): string => crc.toString(16).padStart(8, '0')
    throw corruptAt(at, `checksum ${hex(computed)} instead of ${hex(stored)}`)
  }
}

/** What the checksum does not cover, against what the log remembers of the batch: LOG_CORRUPT if they differ. */
export function checkPlace(
  bytes: Uint8Array,
  at: TopicPartition & { readonly offset: number },
  remembered: { readonly nextOffset: number; readonly leaderEpoch: number },
): void {
  const source = asBuffer(bytes)
  const baseOffset = readInt64(source, 0)
  if (baseOffset !== at.offset) throw corruptAt(at, `the batch says base offset ${baseOffset}`)
  const nextOffset = baseOffset + source.readInt32BE(LAST_OFFSET_DELTA_AT) + 1
  if (nextOffset !== remembered.nextOffset) {
    throw corruptAt(at, `the batch ends at ${nextOffset} instead of ${remembered.nextOffset}`)
  }
  const leaderEpoch = source.readInt32BE(LEADER_EPOCH_AT)
  if (leaderEpoch !== remembered.leaderEpoch) {
    const expected = remembered.leaderEpoch
    throw corruptAt(at, `the batch says leader epoch ${leaderEpoch} instead of ${expected}`)
  }
}

/** Gives a batch its place, in place; the checksum does not cover it. */
export function stampOffsets(
  bytes: Uint8Array,
  { baseOffset, leaderEpoch }: { readonly baseOffset: number; readonly leaderEpoch: number },
): void {
  const target = asBuffer(bytes)
  writeInt64(target, baseOffset, 0)
  target.writeInt32BE(leaderEpoch, LEADER_EPOCH_AT)
}

/** From here on it costs less to work out what a stamp changes in the checksum than to go over the batch again. */
const RESEAL_BYTES_MAX = 8_192

/** Says who produced a sealed batch, in place, and seals it again. Sequences wrap at 2^31. */
export function stampProducer(
  bytes: Uint8Array,
  producer: {
    readonly producerId: number
    readonly epoch: number
    readonly baseSequence: number
    readonly transactional: boolean
  },
): void {
  const target = asBuffer(bytes)
  const stamped = Buffer.from(target.subarray(ATTRIBUTES_AT, RECORD_COUNT_AT))
  const attributes = target.readInt16BE(ATTRIBUTES_AT)
  target.writeInt16BE(
    producer.transactional ? attributes | TRANSACTIONAL_BIT : attributes & ~TRANSACTIONAL_BIT,
    ATTRIBUTES_AT,
  )
  writeInt64(target, producer.producerId, PRODUCER_ID_AT)
  target.writeInt16BE(producer.epoch, PRODUCER_EPOCH_AT)
  const { baseSequence } = producer
  target.writeInt32BE(baseSequence < 0 ? -1 : baseSequence % 0x80000000, BASE_SEQUENCE_AT)
  if (target.length <= RESEAL_BYTES_MAX) return sealBatch(target)
  for (let at = 0; at < stamped.length; at += 1) {
    stamped[at] = (stamped[at] as number) ^ (target[ATTRIBUTES_AT + at] as number)
  }
  const change = crc32cChange(stamped, target.length - RECORD_COUNT_AT)
  target.writeUInt32BE((target.readUInt32BE(CRC_AT) ^ change) >>> 0, CRC_AT)
}

/** Sets `message.timestamp.type=LogAppendTime` for a batch, in place, and seals it again. */
export function stampLogAppendTime(bytes: Uint8Array, timestampMs: number): void {
  const target = asBuffer(bytes)
  target.writeInt16BE(target.readInt16BE(ATTRIBUTES_AT) | TIMESTAMP_TYPE_BIT, ATTRIBUTES_AT)
  writeInt64(target, timestampMs, MAX_TIMESTAMP_AT)
  sealBatch(target)
}

/** Sets the checksum over everything it covers. */
export function sealBatch(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES_AT), CRC_AT)
}

/** A safe integer as 8 bytes, big-endian, two's complement. */
export function writeInt64(target: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 4294967296)
  target.writeInt32BE(high, at)
  target.writeUInt32BE(value - high * 4294967296, at + 4)
}
