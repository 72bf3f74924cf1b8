/**
 * What a record becomes on the target: itself, but for offsets that it names.
 *
 * Two kinds of records name offsets of other topics: a journal's, which say where the inputs were and which record was refused
 * (R10), and dead letters, which say where they came from. What they name must have been copied before.
 *
 * Invariant: key and timestamp stay; a record that names no offset stays as it is, byte for byte.
 */
import { Buffer } from 'node:buffer'
import type { RawRecord, RecordHeader, RecordHeaders, TopicPartition } from '#log'
import { decodeJournal, encodeJournal, ERROR_HEADER_PREFIX, type JournalEntry } from '#runtime'
import type { OffsetMap } from './offset-map.ts'

export interface Carried {
  readonly value: Uint8Array | null
  readonly headers: RecordHeaders
}

export type Translate = (record: RawRecord) => Carried

/** Undefined for a topic that is not migrated: what is said of it stays. */
export type Maps = (place: TopicPartition) => OffsetMap | undefined

export const asItIs: Translate = (record) => ({
  value: valueOf(record),
  headers: record.headers(),
})

/** Of the journal of task `subTopology_partition`: its inputs are the partitions of the same number. */
export function translateJournal(subTopology: number, partition: number, maps: Maps): Translate {
  return (record) => {
    const value = valueOf(record)
    if (value === null) return asItIs(record)
    const { inputs, entries } = decodeJournal(value, `${subTopology}_${partition}`)
    const mapOf = inputs.map(({ topic }) => maps({ topic, partition }))
    const translated = {
      inputs: inputs.map(({ topic, position }, input) => ({
        topic,
        position: mapOf[input]?.position(position) ?? position,
      })),
      entries: entries.map((entry): JournalEntry => {
        if (entry.kind !== 'reject') return entry
        const map = mapOf[entry.input]
        return { ...entry, offset: map === undefined ? entry.offset : nearest(map, entry.offset) }
      }),
    }
    return { value: encodeJournal(translated), headers: record.headers() }
  }
}

const TOPIC = `${ERROR_HEADER_PREFIX}topic`
const PARTITION = `${ERROR_HEADER_PREFIX}partition`
const OFFSET = `${ERROR_HEADER_PREFIX}offset`

/** A dead letter that failed again further on tells more than one origin, each topic, partition, offset. */
export function translateDeadLetter(maps: Maps): Translate {
  return (record) => {
    let topic = ''
    let partition = -1
    const headers = record.headers().map((header): RecordHeader => {
      const [name, bytes] = header
      if (bytes === null || !name.startsWith(ERROR_HEADER_PREFIX)) return header
      const text = Buffer.from(bytes).toString()
      if (name === TOPIC) topic = text
      if (name === PARTITION) partition = Number(text)
      if (name !== OFFSET) return header
      const map = maps({ topic, partition })
      return map === undefined ? header : [name, Buffer.from(`${nearest(map, Number(text))}`)]
    })
    return { value: valueOf(record), headers }
  }
}

/** Where a record is; where it would be if the source has lost it. */
function nearest(map: OffsetMap, source: number): number {
  return map.recordAt(source) ?? map.position(source)
}

export function keyOf({ buffer, keyStart, keyEnd }: RawRecord): Uint8Array | null {
  return keyStart < 0 ? null : buffer.subarray(keyStart, keyEnd)
}

function valueOf({ buffer, valueStart, valueEnd }: RawRecord): Uint8Array | null {
  return valueStart < 0 ? null : buffer.subarray(valueStart, valueEnd)
}
