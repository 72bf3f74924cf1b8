/**
 * Encodes records into a batch in one pass: keys and values are written straight to their place.
 *
 * A record:  length varint │ attributes 0 │ timestamp delta varlong │ offset delta varint │ key │ value │ header count varint
 * and the headers. Key and value: length varint (−1 is null), bytes. A header: name length varint, UTF-8 name, value as above.
 * Varints are zigzag, seven bits a byte, lowest first:   300 → 600 → d8 04     −1 → 1 → 01
 *
 * Invariant: between calls the buffer holds whole records only; what a serde threw on leaves no trace.
 */
import { assert, ByteWriter } from '#system'

import { compress, type Compression, COMPRESSIONS } from './compression.ts'
import {
  ATTRIBUTES_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_HEADER_BYTES,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
  sealBatch,
  writeInt64,
} from './record-batch.ts'
import type { RecordHeaders } from './record.ts'
import { putVarint, varintBytes, writeVarint, writeVarlong } from './varint.ts'

/** What the writer asks of a serde: append the value's bytes. */
export interface Encodes<T> {
  write(value: T, target: ByteWriter): void
}

const plainBytes: Encodes<Uint8Array> = { write: (bytes, target) => target.bytes(bytes) }

export class RecordBatchWriter {
  readonly #compression: Compression
  readonly #out: ByteWriter = new ByteWriter(16_384)
  #count: number = 0
  #sizeBytes: number = BATCH_HEADER_BYTES
  #baseTimestampMs: number = 0
  #maxTimestampMs: number = 0
  /** Bytes that the last record's length and value length took: the next one most likely takes as many. */
  #recordLengthBytes: number = 2
  #valueLengthBytes: number = 2

  constructor({ compression = 'none' }: { readonly compression?: Compression } = {}) {
    this.#compression = compression
    this.#out.length = BATCH_HEADER_BYTES
  }

  /** Records added since the last `finish`. */
  get count(): number {
    return this.#count
  }

  /** The size that `finish` would give without compression; it gives no more with it. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  add(
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: RecordHeaders,
  ): void {
    this.addWith(timestampMs, key, plainBytes, value, plainBytes, headers)
  }

  /** Hot path: the serdes write into the batch itself. If one throws, the record is not there. */
  addWith<K, V>(
    timestampMs: number,
    key: K | null,
    keySerde: Encodes<K>,
    value: V | null,
    valueSerde: Encodes<V>,
    headers: RecordHeaders,
  ): void {
    assert(Number.isSafeInteger(timestampMs) && timestampMs >= -1, 'a timestamp is −1 or later')
    const out = this.#out
    const start = this.#sizeBytes
    if (this.#count === 0) this.#baseTimestampMs = timestampMs
    // Room for everything but key, value and headers, which make their own.
    out.length = start
    out.reserve(64)

    const bodyStart = start + this.#recordLengthBytes
    out.buffer[bodyStart] = 0
    out.length = bodyStart + 1
    writeVarlong(out, timestampMs - this.#baseTimestampMs)
    writeVarint(out, this.#count)
    if (key === null) {
      out.uint8(1)
    } else {
      const lengthAt = out.length++
      keySerde.write(key, out)
      patchLength(out, lengthAt, 1)
    }
    if (value === null) {
      out.uint8(1)
    } else {
      const lengthAt = out.length
      out.reserve(this.#valueLengthBytes)
      out.length += this.#valueLengthBytes
      valueSerde.write(value, out)
      this.#valueLengthBytes = patchLength(out, lengthAt, this.#valueLengthBytes)
    }
    if (headers.length === 0) out.uint8(0)
    else writeHeaders(out, headers)
    this.#recordLengthBytes = patchLength(out, start, this.#recordLengthBytes)

    if (timestampMs > this.#maxTimestampMs || this.#count === 0) this.#maxTimestampMs = timestampMs
    this.#count += 1
    this.#sizeBytes = out.length
  }

  /** The batch, whole, as if it began at offset 0 and nobody had produced it. The writer starts anew. */
  finish(): Uint8Array {
    assert(this.#count > 0, 'a batch has a record')
    const out = this.#out
    out.length = this.#sizeBytes
    let compression: Compression = 'none'
    if (this.#compression !== 'none') {
      const plain = out.buffer.subarray(BATCH_HEADER_BYTES, out.length)
      const records = compress(this.#compression, plain)
      // What does not become smaller stays as it is: it might become more than its topic takes.
      if (records.length < plain.length) {
        compression = this.#compression
        out.length = BATCH_HEADER_BYTES
        out.bytes(records)
      }
    }
    const batch = out.buffer.subarray(0, out.length)
    writeInt64(batch, 0, 0)
    batch.writeInt32BE(batch.length - LENGTH_OVERHEAD, LENGTH_AT)
    batch.writeInt32BE(-1, LEADER_EPOCH_AT)
    batch[MAGIC_AT] = 2
    batch.writeInt16BE(COMPRESSIONS.indexOf(compression), ATTRIBUTES_AT)
    batch.writeInt32BE(this.#count - 1, LAST_OFFSET_DELTA_AT)
    writeInt64(batch, this.#baseTimestampMs, BASE_TIMESTAMP_AT)
    writeInt64(batch, this.#maxTimestampMs, MAX_TIMESTAMP_AT)
    writeInt64(batch, -1, PRODUCER_ID_AT)
    batch.writeInt16BE(-1, PRODUCER_EPOCH_AT)
    batch.writeInt32BE(-1, BASE_SEQUENCE_AT)
    batch.writeInt32BE(this.#count, RECORD_COUNT_AT)
    sealBatch(batch)
    this.clear()
    return out.take()
  }

  /** Forgets what was added. */
  clear(): void {
    this.#count = 0
    this.#sizeBytes = BATCH_HEADER_BYTES
  }

  /** The highest timestamp added; meaningless in an empty batch. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs
  }

  /** Takes back what was added since these three were read from the writer (savepoints, R15). */
  truncate(count: number, sizeBytes: number, maxTimestampMs: number): void {
    assert(count <= this.#count && sizeBytes <= this.#sizeBytes, 'a batch is only cut shorter')
    this.#count = count
    this.#sizeBytes = sizeBytes
    this.#maxTimestampMs = maxTimestampMs
  }
}

function writeHeaders(out: ByteWriter, headers: RecordHeaders): void {
  out.reserve(5)
  writeVarint(out, headers.length)
  for (const [name, value] of headers) {
    const nameAt = out.length
    out.reserve(1)
    out.length += 1
    out.utf8(name)
    patchLength(out, nameAt, 1)
    out.reserve(5)
    if (value === null) {
      out.uint8(1)
    } else {
      writeVarint(out, value.length)
      out.bytes(value)
    }
  }
}

/**
 * Writes the length of everything after `at + guessBytes` at `at`, moving those bytes if the guess of the length's own
 * length was wrong. Returns how many bytes the length took.
 */
function patchLength(out: ByteWriter, at: number, guessBytes: number): number {
  const start = at + guessBytes
  const length = out.length - start
  const lengthBytes = varintBytes(length)
  if (lengthBytes !== guessBytes) {
    if (lengthBytes > guessBytes) out.reserve(lengthBytes - guessBytes)
    out.buffer.copyWithin(at + lengthBytes, start, out.length)
    out.length += lengthBytes - guessBytes
  }
  putVarint(out.buffer, at, length)
  return lengthBytes
}
