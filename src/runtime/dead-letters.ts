/**
 * A record that could not be decoded, or whose processing threw, as it goes to `<app>-dead-letters` in the same commit.
 *
 * Invariant: key, value, timestamp and headers are the record's own, byte for byte, so that it can be sent again; where it came
 * from and what happened is added behind its headers, under Kafka Streams' names (KIP-1034).
 *
 *     __streams.errors.exception   class of the error       __streams.errors.topic       orders
 *     __streams.errors.message     its text                 __streams.errors.partition   3
 *     __streams.errors.stacktrace  its stack                __streams.errors.offset      1207
 */
import { Buffer } from 'node:buffer'
import type { RawRecord, RecordHeaders, TopicPartition } from '#log'
import type { TaskCollector } from './record-collector.ts'

export const ERROR_HEADER_PREFIX = '__streams.errors.'

export function addDeadLetter(
  collector: TaskCollector,
  topic: string,
  origin: TopicPartition,
  record: RawRecord,
  error: unknown,
): void {
  const { buffer, keyStart, keyEnd, valueStart, valueEnd } = record
  collector.add(
    topic,
    record.timestampMs,
    keyStart < 0 ? null : buffer.subarray(keyStart, keyEnd),
    valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd),
    [...record.headers(), ...errorHeaders(origin, record.offset, error)],
  )
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
    text === undefined ? null : Buffer.from(text),
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
