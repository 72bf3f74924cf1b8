/**
 * The bytes of one suppressed change, in the changelog and in the backend: Kafka Streams' `BufferValue`, version 3.
 *
 * Invariant: `decodeBufferValue(encodeBufferValue(change, time))` gives both back, and the bytes are Kafka Streams' own.
 *
 *     context  timestamp(8) offset(8) topic(len 4, bytes; −1 none) partition(4) headers(count 4, [name(len 4), value(len 4; −1)])
 *     prior    len(4; −1 absent) bytes
 *     old      len(4; −1 absent, −2 the same as prior) bytes
 *     new      len(4; −1 absent) bytes
 *     time     bufferTime(8)
 */
import type { Buffer } from 'node:buffer'
import { asBuffer, ByteWriter, readInt64 } from '#system'
import { equalBytes } from './bytes.ts'
import type { BufferedChange } from './task-store.ts'

/** The record header `v` that tells the version of a value; tombstones carry none. */
export const BUFFER_VALUE_HEADERS: readonly (readonly [string, Uint8Array])[] = [
  ['v', Uint8Array.of(3)],
]
export const BUFFER_VALUE_VERSION = 3

const ABSENT = -1
const SAME_AS_PRIOR = -2

export function encodeBufferValue(change: BufferedChange, bufferTimeMs: number): Uint8Array {
  const target = new ByteWriter(128)
  writeBufferContext(change.context, target)
  const { priorValue, oldValue, newValue } = change
  writeNullable(priorValue, target)
  if (oldValue !== null && isSame(priorValue, oldValue)) target.int32(SAME_AS_PRIOR)
  else writeNullable(oldValue, target)
  writeNullable(newValue, target)
  target.int64(bufferTimeMs)
  return target.copy()
}

export function writeBufferContext(context: BufferedChange['context'], target: ByteWriter): void {
  target.int64(context.timestampMs)
  target.int64(context.offset)
  writeText(context.topic, target)
  target.int32(context.partition)
  target.int32(context.headers.length)
  for (const [name, value] of context.headers) {
    writeText(name, target)
    writeNullable(value, target)
  }
}

export function decodeBufferValue(
  key: Uint8Array,
  bytes: Uint8Array,
): { readonly timeMs: number; readonly change: BufferedChange } {
  const source = new BufferValueReader(asBuffer(bytes))
  const timestampMs = source.int64()
  const offset = source.int64()
  const topic = source.text()
  const partition = source.int32()
  const headers: (readonly [string, Uint8Array | null])[] = []
  for (let count = source.int32(); count > 0; count--) {
    headers.push([source.text() ?? '', source.nullable(source.int32())])
  }
  const priorValue = source.nullable(source.int32())
  const oldLength = source.int32()
  const oldValue = oldLength === SAME_AS_PRIOR ? priorValue : source.nullable(oldLength)
  const newValue = source.nullable(source.int32())
  const timeMs = source.int64()
  const context = { timestampMs, offset, topic, partition, headers }
  return { timeMs, change: { key, priorValue, oldValue, newValue, context } }
}

/** What Kafka Streams counts a buffered change as, for byte limits: values, context, key and buffer time. */
export function bufferedBytes(change: BufferedChange): number {
  return 8 + change.key.length + bufferValueBytes(change)
}

/** `BufferValue.residentMemorySizeEstimate`. */
export function bufferValueBytes({
  priorValue,
  oldValue,
  newValue,
  context,
}: BufferedChange): number {
  const oldBytes = oldValue === null || isSame(priorValue, oldValue) ? 0 : oldValue.length
  const valueBytes = (priorValue?.length ?? 0) + oldBytes + (newValue?.length ?? 0)
  return valueBytes + bufferContextBytes(context)
}

/** `ProcessorRecordContext.residentMemorySizeEstimate`: texts by their UTF-16 units. */
export function bufferContextBytes(context: BufferedChange['context']): number {
  let bytes = 8 + 8 + (context.topic?.length ?? 0) + 4
  for (const [name, value] of context.headers) bytes += name.length + (value?.length ?? 0)
  return bytes
}

function isSame(prior: Uint8Array | null, old: Uint8Array): boolean {
  return prior === old || (prior !== null && equalBytes(prior, old))
}

function writeText(text: string | null, target: ByteWriter): void {
  if (text === null) return target.int32(ABSENT)
  const lengthAt = target.length
  target.int32(0)
  target.utf8(text)
  target.buffer.writeInt32BE(target.length - lengthAt - 4, lengthAt)
}

function writeNullable(bytes: Uint8Array | null, target: ByteWriter): void {
  if (bytes === null) return target.int32(ABSENT)
  target.int32(bytes.length)
  target.bytes(bytes)
}

class BufferValueReader {
  readonly #source: Buffer
  #at = 0

  constructor(source: Buffer) {
    this.#source = source
  }

  int32(): number {
    this.#at += 4
    return this.#source.readInt32BE(this.#at - 4)
  }

  int64(): number {
    this.#at += 8
    return readInt64(this.#source, this.#at - 8)
  }

  nullable(length: number): Uint8Array | null {
    if (length === ABSENT) return null
    this.#at += length
    return this.#source.subarray(this.#at - length, this.#at)
  }

  text(): string | null {
    const length = this.int32()
    if (length === ABSENT) return null
    this.#at += length
    return this.#source.utf8Slice(this.#at - length, this.#at)
  }
}
