/**
 * Where a record's event time comes from: the record itself, or a field of its value.
 *
 * Invariant: an extractor is a function of the record and the partition's time; a negative answer drops the record (T3).
 */
import type { TimestampExtractor } from './node.ts'
import { TopologyError } from './topology.ts'

/** Names of the fields that hold a number. */
export type NumberField<V> = {
  readonly [Name in keyof V]-?: V[Name] extends number ? Name : never
}[keyof V] &
  string

/**
 * `fail`: the record's own time, an invalid one is a dead letter. `skip`: the same, an invalid one is dropped and counted.
 * `{ field }`: a field of the value, in milliseconds. Or an extractor of your own.
 */
export type Timestamps<V> =
  'fail' | 'skip' | { readonly field: NumberField<V> } | TimestampExtractor

export const failOnInvalidTimestamp: TimestampExtractor = {
  name: 'fail',
  extract({ timestampMs, topic, partition, offset }) {
    if (timestampMs >= 0) return timestampMs
    throw invalid(topic, partition, offset, `its time is ${timestampMs}`)
  },
}

export const skipInvalidTimestamp: TimestampExtractor = {
  name: 'skip',
  extract: ({ timestampMs }) => timestampMs,
}

export function timestampField(field: string): TimestampExtractor {
  return {
    name: `field ${field}`,
    extract({ value, topic, partition, offset }) {
      const timeMs: unknown = isObject(value) ? value[field] : undefined
      if (typeof timeMs === 'number' && timeMs >= 0) return Math.floor(timeMs)
      throw invalid(topic, partition, offset, `its value has no time in "${field}"`)
    },
  }
}

export function extractorOf<V>(
  timestamps: Timestamps<V> | undefined,
): TimestampExtractor | undefined {
  if (timestamps === undefined) return undefined
  if (timestamps === 'fail') return failOnInvalidTimestamp
  if (timestamps === 'skip') return skipInvalidTimestamp
  if ('field' in timestamps) return timestampField(timestamps.field)
  return timestamps
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function invalid(topic: string, partition: number, offset: number, why: string): TopologyError {
  return new TopologyError('TIMESTAMP_INVALID', `${topic}-${partition} at ${offset}: ${why}`)
}
