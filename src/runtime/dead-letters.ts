/**
 * A record that could not be decoded, or whose processing threw, as it goes to `<app>-dead-letters` in the same commit.
 *
 * Invariant: key, value, timestamp and headers are the record's own, byte for byte, so that it can be sent again; where it came
 * from and what happened is added behind its headers, under Kafka Streams' names (KIP-1034).
 *
 *     __streams.errors.exception   class of the error       __streams.errors.topic       orders
 *     __streams.errors.message     its text                 __streams.errors.partition   3
 *     __streams.errors.stacktrace  its stack                __streams.errors.offset      1207
 *     millrace-node                reserve
 *
 * What with these would be too large for its topic is cut until it fits, and says how much there was: first the value
 * (`millrace-value-bytes`), then the stack, the record's own headers (`millrace-headers`, how many) and the key
 * (`millrace-key-bytes`).
 */
import { Buffer } from 'node:buffer'
import {
  LogError,
  type RawRecord,
  type RecordHeader,
  type RecordHeaders,
  type TopicPartition,
} from '#log'
import type { TaskCollector } from './record-collector.ts'

export const ERROR_HEADER_PREFIX = '__streams.errors.'
export const VALUE_BYTES_HEADER = 'millrace-value-bytes'
/** Kafka Streams names no node. */
export const NODE_HEADER = 'millrace-node'
const KEY_BYTES_HEADER = 'millrace-key-bytes'
const HEADERS_HEADER = 'millrace-headers'

/** A batch of one record takes no more than this beside key, value and headers. */
const FRAME_BYTES = 96
/** Lengths of a header's name and value. */
const HEADER_FRAME_BYTES = 10

/** What user code puts into a message has no bounds of its own. */
const TEXT_LENGTH_MAX = 4096
const SHORT_TEXT_LENGTH_MAX = 128

export interface DeadLetterOrigin extends TopicPartition {
  /** Whose doing it was: the node that ran user code or a serde when it failed. */
  readonly node: string
}

export function addDeadLetter(
  collector: TaskCollector,
  topic: string,
  origin: DeadLetterOrigin,
  record: RawRecord,
  error: unknown,
): void {
  const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = record
  const key = keyStart < 0 ? null : buffer.subarray(keyStart, keyEnd)
  const value = valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
  const own = record.headers()
  const headers = [...own, ...errorHeaders(origin, record.offset, error, TEXT_LENGTH_MAX)]
  try {
    collector.add(topic, timestampMs, key, value, headers)
  } catch (failure) {
    if (!(failure instanceof LogError && failure.code === 'RECORD_TOO_LARGE')) throw failure
    const short = errorHeaders(origin, record.offset, error, SHORT_TEXT_LENGTH_MAX)
    const bytesMax = collector.batchBytesMax(topic)
    const cut =
      withValueCut({ key, value, headers }, bytesMax) ??
      withAllCut({ key, value, headers: short }, own.length, bytesMax)
    collector.add(topic, timestampMs, cut.key, cut.value, cut.headers)
  }
}

interface Letter {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: RecordHeaders
}

/** Undefined if it would not fit with the shortest value either. */
function withValueCut({ key, value, headers }: Letter, bytesMax: number): Letter | undefined {
  const told = [...headers, lengthHeader(VALUE_BYTES_HEADER, value?.length ?? 0)]
  const room = bytesMax - FRAME_BYTES - headerBytes(told) - (key?.length ?? 0)
  if (room < 0) return undefined
  return { key, value: value?.subarray(0, room) ?? null, headers: told }
}

/** `headers`: only those that tell of the error, shortened. Too large still where a topic takes next to nothing. */
function withAllCut({ key, value, headers }: Letter, ownHeaders: number, bytesMax: number): Letter {
  const told = [
    ...headers,
    lengthHeader(HEADERS_HEADER, ownHeaders),
    lengthHeader(KEY_BYTES_HEADER, key?.length ?? 0),
    lengthHeader(VALUE_BYTES_HEADER, value?.length ?? 0),
  ]
  const room = Math.max(0, bytesMax - FRAME_BYTES - headerBytes(told))
  const cutKey = key?.subarray(0, room) ?? null
  const left = room - (cutKey?.length ?? 0)
  return { key: cutKey, value: value?.subarray(0, left) ?? null, headers: told }
}

function headerBytes(headers: RecordHeaders): number {
  return headers.reduce(
    (sum, [name, value]) =>
      sum + HEADER_FRAME_BYTES + Buffer.byteLength(name) + (value?.length ?? 0),
    0,
  )
}

function lengthHeader(name: string, length: number): RecordHeader {
  return [name, Buffer.from(String(length))]
}

function errorHeaders(
  origin: DeadLetterOrigin,
  offset: number,
  error: unknown,
  textLengthMax: number,
): RecordHeaders {
  const { name, message, stack } = describeError(error)
  const texts = {
    exception: name,
    message,
    stacktrace: textLengthMax < TEXT_LENGTH_MAX ? undefined : stack,
    topic: origin.topic,
    partition: String(origin.partition),
    offset: String(offset),
  }
  const errors = Object.entries(texts).map(([part, text]): RecordHeader => [
    `${ERROR_HEADER_PREFIX}${part}`,
    text === undefined ? null : Buffer.from(text.slice(0, textLengthMax)),
  ])
  return [...errors, [NODE_HEADER, Buffer.from(origin.node.slice(0, textLengthMax))]]
}

/** Anything can be thrown. */
export function describeError(error: unknown): {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
} {
  if (error instanceof Error) {
    return { name: error.name, message: error.message, stack: error.stack }
  }
  return { name: typeof error, message: String(error), stack: undefined }
}
