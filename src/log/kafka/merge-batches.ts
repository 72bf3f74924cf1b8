/**
 * Several record batches as one: a Produce request takes one batch a partition, and small appends would each need their own.
 *
 * Only what depends on the batch is written anew: a record's length, its timestamp and offset against the batch's first, and the
 * header. Keys, values and headers are copied as they lie.
 *
 * Invariant: the records of the result are the records of the batches, one after the other.
 */
import { asBuffer, assert, ByteWriter, readInt64 } from '#system'
import type { Buffer } from 'node:buffer'

import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  BATCH_HEADER_BYTES,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  MAX_TIMESTAMP_AT,
  RECORD_COUNT_AT,
  sealBatch,
  writeInt64,
} from '../record-batch.ts'
import { writeVarint, writeVarlong } from '../varint.ts'

/** True if the records lie open, in a batch with nothing but create times. */
export function isMergeable(batch: Uint8Array): boolean {
  return asBuffer(batch).readInt16BE(ATTRIBUTES_AT) === 0
}

/** Records in a batch, counted by the offsets that it takes. */
export function offsetsIn(batch: Uint8Array): number {
  return asBuffer(batch).readInt32BE(LAST_OFFSET_DELTA_AT) + 1
}

/** One batch, sealed. */
export function mergeBatches(batches: readonly Uint8Array[]): Buffer {
  const [first] = batches
  assert(first !== undefined, 'there is something to merge')
  if (batches.length === 1) return asBuffer(first)
  const sizeBytes = batches.reduce((sum, batch) => sum + batch.length, 0)
  // A record's length and two deltas may take a few bytes more each, which the writer makes room for.
  const out = new ByteWriter(sizeBytes + (sizeBytes >> 2))
  const baseTimestampMs = readInt64(asBuffer(first), BASE_TIMESTAMP_AT)
  let maxTimestampMs = readInt64(asBuffer(first), MAX_TIMESTAMP_AT)
  let offsets = offsetsIn(first)
  let records = asBuffer(first).readInt32BE(RECORD_COUNT_AT)
  out.bytes(first)
  for (const batch of batches.slice(1)) {
    const source = asBuffer(batch)
    appendRecords(out, source, readInt64(source, BASE_TIMESTAMP_AT) - baseTimestampMs, offsets)
    maxTimestampMs = Math.max(maxTimestampMs, readInt64(source, MAX_TIMESTAMP_AT))
    offsets += offsetsIn(batch)
    records += source.readInt32BE(RECORD_COUNT_AT)
  }
  const merged = asBuffer(out.take())
  merged.writeInt32BE(merged.length - LENGTH_OVERHEAD, LENGTH_AT)
  merged.writeInt32BE(offsets - 1, LAST_OFFSET_DELTA_AT)
  writeInt64(merged, maxTimestampMs, MAX_TIMESTAMP_AT)
  merged.writeInt32BE(records, RECORD_COUNT_AT)
  sealBatch(merged)
  return merged
}

const deltas = new ByteWriter(32)

function appendRecords(
  out: ByteWriter,
  source: Buffer,
  timestampShiftMs: number,
  offsetShift: number,
): void {
  const varints = new Varints(source, BATCH_HEADER_BYTES)
  while (varints.at < source.length) {
    const length = varints.next()
    const end = varints.at + length
    // One byte of attributes, which nobody uses.
    varints.at += 1
    deltas.length = 0
    deltas.reserve(15)
    writeVarlong(deltas, varints.next() + timestampShiftMs)
    writeVarint(deltas, varints.next() + offsetShift)
    out.reserve(6)
    writeVarint(out, 1 + deltas.length + end - varints.at)
    out.uint8(0)
    out.range(deltas.buffer, 0, deltas.length)
    out.range(source, varints.at, end)
    varints.at = end
  }
}

/** Zigzag varints of up to 53 bits, one after the other. */
class Varints {
  at: number
  readonly #source: Buffer

  constructor(source: Buffer, at: number) {
    this.#source = source
    this.at = at
  }

  next(): number {
    let byte = this.#source[this.at++] as number
    let zigzag = byte & 0x7f
    for (let factor = 128; byte > 0x7f; factor *= 128) {
      byte = this.#source[this.at++] as number
      zigzag += (byte & 0x7f) * factor
    }
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }
}
