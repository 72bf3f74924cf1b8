/**
 * Decodes a record batch, one record at a time, without making an object a record.
 *
 * Invariant: a record that `next` shows lies within its batch, filled its length exactly and follows the one before it;
 * anything else is LOG_CORRUPT, whatever the bytes are.
 */
import { asBuffer, readInt64 } from '#system'
import { Buffer } from 'node:buffer'

import { COMPRESSIONS, decompress } from './compression.ts'
import type { LogError, TopicPartition } from './log.ts'
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_HEADER_BYTES,
  corruptAt,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  RECORD_COUNT_AT,
} from './record-batch.ts'
import { NO_HEADERS, type RawRecord, type RecordHeader, type RecordHeaders } from './record.ts'

const NOWHERE: TopicPartition = { topic: '', partition: -1 }
/** A record is at least its length, attributes, two deltas, two lengths and a header count. */
const RECORD_BYTES_MIN = 7

export class RecordCursor implements RawRecord {
  buffer: Buffer = Buffer.alloc(0)
  offset: number = -1
  timestampMs: number = -1
  keyStart: number = -1
  keyEnd: number = -1
  valueStart: number = -1
  valueEnd: number = -1
  headerCount: number = 0
  /** Where the record's own bytes are, its length in front of it included. */
  recordStart: number = -1
  recordEnd: number = -1

  #place: TopicPartition = NOWHERE
  #baseOffset: number = 0
  #baseTimestampMs: number = 0
  /** The broker's time for every record of the batch, or −1 where each has its own. */
  #appendTimeMs: number = -1
  #lastOffsetDelta: number = -1
  #offsetDelta: number = -1
  #remaining: number = 0
  /** Where the next read is, and where the batch ends. */
  #at: number = 0
  #end: number = 0
  #headersStart: number = 0

  /** Points before the first record of a batch whose checksum holds (`checkBatch`). */
  open(bytes: Uint8Array, place: TopicPartition): void {
    const batch = asBuffer(bytes)
    this.#place = place
    this.#remaining = 0
    this.#offsetDelta = -1
    this.#baseOffset = batch.length < 8 ? -1 : readInt64(batch, 0)
    if (
      batch.length < BATCH_HEADER_BYTES ||
      batch[MAGIC_AT] !== 2 ||
      batch.readInt32BE(LENGTH_AT) + LENGTH_OVERHEAD !== batch.length
    ) {
      throw this.#corrupt('this is not one whole batch of magic 2')
    }
    const recordCount = batch.readInt32BE(RECORD_COUNT_AT)
    const attributes = batch.readInt16BE(ATTRIBUTES_AT)
    this.#lastOffsetDelta = batch.readInt32BE(LAST_OFFSET_DELTA_AT)
    this.#baseTimestampMs = readInt64(batch, BASE_TIMESTAMP_AT)
    this.#appendTimeMs = attributes & 0x08 ? readInt64(batch, MAX_TIMESTAMP_AT) : -1
    if (
      recordCount < 0 ||
      recordCount > this.#lastOffsetDelta + 1 ||
      !Number.isSafeInteger(this.#baseOffset + this.#lastOffsetDelta) ||
      !Number.isSafeInteger(this.#baseTimestampMs) ||
      !Number.isSafeInteger(this.#appendTimeMs)
    ) {
      throw this.#corrupt(`the header is impossible: ${recordCount} records`)
    }
    this.#openRecords(batch, attributes & 0x07)
    if (recordCount * RECORD_BYTES_MIN > this.#end - this.#at) {
      throw this.#corrupt(`${recordCount} records do not fit into ${this.#end - this.#at} bytes`)
    }
    this.#remaining = recordCount
    if (recordCount === 0) this.#assertEnd()
  }

  /** Moves on to the next record; false after the last. */
  next(): boolean {
    if (this.#remaining === 0) return false
    const start = this.#at
    const lengthBytes = this.#varint()
    const recordEnd = this.#at + lengthBytes
    if (lengthBytes < 0 || recordEnd > this.#end) throw this.#corruptRecord(start, 'length')
    this.#at += 1
    const timestampMs = this.#baseTimestampMs + this.#varlong()
    const offsetDelta = this.#varint()
    if (offsetDelta <= this.#offsetDelta || offsetDelta > this.#lastOffsetDelta) {
      throw this.#corruptRecord(start, 'offset')
    }
    if (!Number.isSafeInteger(timestampMs)) throw this.#corruptRecord(start, 'timestamp')

    const keyBytes = this.#varint()
    const keyStart = this.#at
    if (keyBytes > 0) this.#at += keyBytes
    if (keyBytes < -1 || this.#at > recordEnd) throw this.#corruptRecord(start, 'key')
    const valueBytes = this.#varint()
    const valueStart = this.#at
    if (valueBytes > 0) this.#at += valueBytes
    if (valueBytes < -1 || this.#at > recordEnd) throw this.#corruptRecord(start, 'value')

    const headerCount = this.#varint()
    this.#headersStart = this.#at
    if (headerCount !== 0) this.#skipHeaders(start, headerCount, recordEnd)
    if (this.#at !== recordEnd) throw this.#corruptRecord(start, 'length')

    this.#offsetDelta = offsetDelta
    this.offset = this.#baseOffset + offsetDelta
    this.timestampMs = this.#appendTimeMs === -1 ? timestampMs : this.#appendTimeMs
    this.keyStart = keyBytes < 0 ? -1 : keyStart
    this.keyEnd = keyBytes < 0 ? -1 : keyStart + keyBytes
    this.valueStart = valueBytes < 0 ? -1 : valueStart
    this.valueEnd = valueBytes < 0 ? -1 : valueStart + valueBytes
    this.headerCount = headerCount
    this.recordStart = start
    this.recordEnd = recordEnd
    this.#remaining -= 1
    if (this.#remaining === 0) this.#assertEnd()
    return true
  }

  headers(): RecordHeaders {
    if (this.headerCount === 0) return NO_HEADERS
    const resumeAt = this.#at
    this.#at = this.#headersStart
    const headers: RecordHeader[] = []
    for (let n = 0; n < this.headerCount; n += 1) {
      const nameBytes = this.#varint()
      const name = this.buffer.utf8Slice(this.#at, this.#at + nameBytes)
      this.#at += nameBytes
      const valueBytes = this.#varint()
      if (valueBytes < 0) {
        headers.push([name, null])
      } else {
        headers.push([name, this.buffer.subarray(this.#at, this.#at + valueBytes)])
        this.#at += valueBytes
      }
    }
    this.#at = resumeAt
    return headers
  }

  #openRecords(batch: Buffer, code: number): void {
    const compression = COMPRESSIONS[code]
    if (compression === 'none') {
      this.buffer = batch
      this.#at = BATCH_HEADER_BYTES
      this.#end = batch.length
      return
    }
    if (compression === undefined) throw this.#corrupt(`compression ${code} does not exist`)
    try {
      this.buffer = asBuffer(decompress(compression, batch.subarray(BATCH_HEADER_BYTES)))
    } catch (cause) {
      throw this.#corrupt(`the ${compression} bytes cannot be decompressed`, cause)
    }
    this.#at = 0
    this.#end = this.buffer.length
  }

  // A read beyond the buffer gives undefined, which ends a varint as a zero would: `next` then finds that `#at` has passed
  // the record's end. So no read needs a check of its own.

  /** −2^31 to 2^31 − 1; what is longer than five bytes comes out as −2^31, which is legal nowhere. */
  #varint(): number {
    const { buffer } = this
    let byte = buffer[this.#at++] as number
    let raw = byte & 0x7f
    if (byte > 0x7f) {
      let shift = 7
      do {
        byte = buffer[this.#at++] as number
        raw |= (byte & 0x7f) << shift
        shift += 7
      } while (byte > 0x7f && shift < 35)
      if (byte > 0x7f) return -0x80000000
    }
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** A 64-bit number, exact while it is a safe integer; what is longer than ten bytes comes out as NaN. */
  #varlong(): number {
    const { buffer } = this
    let byte = buffer[this.#at++] as number
    const negative = byte & 1
    let magnitude = (byte & 0x7f) >>> 1
    let scale = 64
    let left = 9
    while (byte > 0x7f && left > 0) {
      byte = buffer[this.#at++] as number
      magnitude += (byte & 0x7f) * scale
      scale *= 128
      left -= 1
    }
    if (byte > 0x7f) return Number.NaN
    return negative ? -magnitude - 1 : magnitude
  }

  #skipHeaders(start: number, count: number, recordEnd: number): void {
    // Each takes two bytes at least, so an impossible count ends here and not after that many rounds.
    if (count < 0 || count * 2 > recordEnd - this.#at) throw this.#corruptRecord(start, 'headers')
    for (let n = 0; n < count; n += 1) {
      const nameBytes = this.#varint()
      if (nameBytes < 0) throw this.#corruptRecord(start, 'headers')
      this.#at += nameBytes
      const valueBytes = this.#varint()
      if (valueBytes > 0) this.#at += valueBytes
      if (valueBytes < -1 || this.#at > recordEnd) throw this.#corruptRecord(start, 'headers')
    }
  }

  #assertEnd(): void {
    if (this.#at === this.#end) return
    const leftBytes = this.#end - this.#at
    this.#remaining = 0
    throw this.#corrupt(`${leftBytes} bytes are left after the last record`)
  }

  /** The cursor stays before the bad record, so asking again fails again. */
  #corruptRecord(start: number, part: string): LogError {
    this.#at = start
    return this.#corrupt(`the ${part} of a record does not fit`)
  }

  #corrupt(what: string, cause?: unknown): LogError {
    const { topic, partition } = this.#place
    const offset = this.#baseOffset + this.#offsetDelta + 1
    return corruptAt({ topic, partition, offset }, what, cause)
  }
}
