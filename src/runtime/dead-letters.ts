/**
 * A record that could not be decoded, or whose processing threw, as it goes to `<app>-dead-letters` in the same commit.
 *
 * Invariant: key, value, timestamp and headers are the record's own, byte for byte, so that it can be sent again; where it came
 * from and what happened is added behind its headers, under Kafka Streams' names (KIP-1034).
 *
 *     __streams.errors.exception   class of the error       __streams.errors.topic       orders
 *     __streams.errors.message     its text                 __streams.errors.partition   3
 *     __streams.errors.stacktrace  its stack                __streams.errors.offset      1207
 *
 * A record that with these would be too large for the log leaves its value out, which `millrace-value-bytes` then tells.
 */
import { Buffer } from 'node:buffer'
import { LogError, type RawRecord, type RecordHeaders, type TopicPartition } from '#log'
import type { TaskCollector } from './record-collector.ts'

export const ERROR_HEADER_PREFIX = '__streams.errors.'
export const VALUE_BYTES_HEADER = 'millrace-value-bytes'

/** What user code puts into a message has no bounds of its own. */
const TEXT_LENGTH_MAX = 4096

export function addDeadLetter(
  collector: TaskCollector,
  topic: string,
  origin: TopicPartition,
  record: RawRecord,
  error: unknown,
): void {
  const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = record
  const key = keyStart < 0 ? null : buffer.subarray(keyStart, keyEnd)
  const value = valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
  const headers = [...record.headers(), ...errorHeaders(origin, record.offset, error)]
  try {
    collector.add(topic, timestampMs, key, value, headers)
  } catch (failure) {
    const isTooLarge = failure instanceof LogError && failure.code === 'RECORD_TOO_LARGE'
    if (!isTooLarge || value === null) throw failure
    const bytes = Buffer.from(String(value.length))
    collector.add(topic, timestampMs, key, null, [...headers, [VALUE_BYTES_HEADER, bytes]])
  }
}

function errorHeaders(origin: TopicPartition, offset: number, error: unknown): RecordHeaders {
  const { name, message, stack } = describeError(error)
  const texts = {
    exception: name,
    message,
    stacktrace: stack,
    topic: origin.topic,
    partition: String(origin.partition),
    offset: String(offset),
  }
  return Object.entries(texts).map(([part, text]) => [
    `${ERROR_HEADER_PREFIX}${part}`,
    text === undefined ? null : Buffer.from(text.slice(0, TEXT_LENGTH_MAX)),
  ])
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
