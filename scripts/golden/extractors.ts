/**
 * The vectors' timestamp extractors by name.
 *
 * Invariant: the partition time handed in is −1 until a record has set it.
 */
import type { TimestampExtractor, Timestamps } from '#topology'
import { ScenarioFailure } from './functions.ts'
import type { FunctionSpec } from './scenario.ts'
import { text } from './values.ts'

export function extractor({ fn, arg }: FunctionSpec): Timestamps<unknown> {
  if (fn === 'failOnInvalid') return 'fail'
  if (fn === 'logAndSkip') return 'skip'
  return { name: fn, extract: extractOf(fn, Number(arg ?? 0)) }
}

function extractOf(fn: string, arg: number): TimestampExtractor['extract'] {
  switch (fn) {
    case 'shift':
      return ({ timestampMs }) => timestampMs + arg
    case 'partitionTime':
      return (_record, partitionTimeMs) => partitionTimeMs
    case 'valueAsTimestamp':
      return ({ value }) => (/^-?\d+$/.test(text(value)) ? Number(text(value)) : -1)
    case 'usePartitionTime':
      return ({ timestampMs }, partitionTimeMs) => {
        if (timestampMs >= 0) return timestampMs
        if (partitionTimeMs >= 0) return partitionTimeMs
        throw new ScenarioFailure('no partition time yet')
      }
    default:
      throw new ScenarioFailure(`no extractor ${fn}`)
  }
}
