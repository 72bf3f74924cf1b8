/**
 * The rows of a dedupe store: blobs of the ids of one commit and time segment, and one note a segment.
 *
 * Invariant: the blobs of a segment hold its ids in the order of acceptance, numbered from 0 without a gap.
 *
 *     blob  start(8) ‖ first ordinal(4)  →  count(4) ‖ count × [time − start (4) ‖ end of id(4)] ‖ ids
 *     note  start(8)                     →  end(8) ‖ next ordinal(4)
 */
import type { Buffer } from 'node:buffer'
import { asBuffer, ByteWriter, readInt64 } from '#system'
import type { StateStore, StoreChange } from './store.ts'

/** Ids in one blob at most: checking one suspicion reads some kilobytes, not a whole commit. */
export const BLOB_IDS_MAX = 512

const NOTE_KEY_BYTES = 8
const ENTRY_BYTES = 8
/** Times are kept as four bytes from a segment's start. */
const SEGMENT_MS_MAX = 0xffff_ffff
/** A segment is this part of the time ids are kept for: what is kept too long is at most that. */
const SEGMENTS = 4

/** Ids are kept by segments of this length, and dropped with them. */
export function dedupeSegmentMs(withinMs: number): number {
  return Math.min(Math.max(Math.ceil(withinMs / SEGMENTS), 1), SEGMENT_MS_MAX)
}

/** Collects the ids of one blob. */
export class DedupeBlobWriter {
  readonly startMs: number
  readonly firstOrdinal: number
  readonly #entries = new ByteWriter(256)
  readonly #ids = new ByteWriter(256)

  constructor(startMs: number, firstOrdinal: number) {
    this.startMs = startMs
    this.firstOrdinal = firstOrdinal
  }

  get count(): number {
    return this.#entries.length / ENTRY_BYTES
  }

  addText(id: string, acceptedAtMs: number): void {
    this.#ids.utf8(id)
    this.#close(acceptedAtMs)
  }

  /** The id is `source[start, end)`. */
  addBytes(source: Buffer, start: number, end: number, acceptedAtMs: number): void {
    this.#ids.range(source, start, end)
    this.#close(acceptedAtMs)
  }

  finish(): StoreChange {
    const target = new ByteWriter(4 + this.#entries.length + this.#ids.length)
    target.int32(this.count)
    for (const { buffer, length } of [this.#entries, this.#ids]) {
      target.bytes(buffer.subarray(0, length))
    }
    return { key: blobKey(this.startMs, this.firstOrdinal), value: target.copy() }
  }

  #close(acceptedAtMs: number): void {
    // As two's complement: readers take them as unsigned.
    this.#entries.int32((acceptedAtMs - this.startMs) | 0)
    this.#entries.int32(this.#ids.length)
  }
}

/** Reads one blob. */
export class DedupeBlob {
  readonly #bytes: Buffer
  readonly count: number

  constructor(value: Uint8Array) {
    this.#bytes = asBuffer(value)
    this.count = this.#bytes.readInt32BE(0)
  }

  /** Since the segment's start. */
  time(index: number): number {
    return this.#bytes.readUInt32BE(4 + index * ENTRY_BYTES)
  }

  id(index: number): string {
    return this.#bytes.utf8Slice(this.#start(index), this.#end(index))
  }

  idBytes(index: number): Buffer {
    return this.#bytes.subarray(this.#start(index), this.#end(index))
  }

  #start(index: number): number {
    return index === 0 ? 4 + this.count * ENTRY_BYTES : this.#end(index - 1)
  }

  #end(index: number): number {
    return 4 + this.count * ENTRY_BYTES + this.#bytes.readInt32BE(8 + index * ENTRY_BYTES)
  }
}

export function blobKey(startMs: number, firstOrdinal: number): Uint8Array {
  const key = new ByteWriter(12)
  key.int64(startMs)
  key.int32(firstOrdinal)
  return key.copy()
}

export function noteKey(startMs: number): Uint8Array {
  return int64Bytes(startMs)
}

function int64Bytes(value: number): Uint8Array {
  const bytes = new ByteWriter(8)
  bytes.int64(value)
  return bytes.copy()
}

export interface SegmentNote {
  readonly startMs: number
  /** Not included. */
  readonly endMs: number
  readonly nextOrdinal: number
}

export function segmentNote({ startMs, endMs, nextOrdinal }: SegmentNote): StoreChange {
  const value = new ByteWriter(12)
  value.int64(endMs)
  value.int32(nextOrdinal)
  return { key: noteKey(startMs), value: value.copy() }
}

export function readSegmentNote(store: StateStore, startMs: number): SegmentNote | undefined {
  const value = store.get(noteKey(startMs))
  return value === undefined ? undefined : parseSegmentNote(startMs, value)
}

export function parseSegmentNote(startMs: number, value: Uint8Array): SegmentNote {
  const bytes = asBuffer(value)
  return { startMs, endMs: readInt64(bytes, 0), nextOrdinal: bytes.readInt32BE(8) }
}

/** The segment's start, and a blob's first ordinal; the ordinal is undefined for a note. */
export function parseDedupeKey(key: Uint8Array): {
  readonly startMs: number
  readonly firstOrdinal: number | undefined
} {
  const bytes = asBuffer(key)
  const firstOrdinal = key.length === NOTE_KEY_BYTES ? undefined : bytes.readInt32BE(NOTE_KEY_BYTES)
  return { startMs: readInt64(bytes, 0), firstOrdinal }
}
