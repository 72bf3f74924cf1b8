/**
 * What a committed offset remembers beside the offset, in Kafka Streams' own format: partition time and named times.
 *
 * Invariant: what was encoded decodes to the same; a text that is not ours decodes to an unknown partition time (−1).
 *
 * Base64 of: magic 2 ‖ partition time (8) ‖ [count (4) ‖ (length (4) ‖ name ‖ time (8))*]. Partition time 0 and `store` = 5:
 *
 *     02 0000000000000000 00000001 00000005 73746f7265 0000000000000005     AgAAAAAAAAAAAAAAAQAAAAVzdG9yZQAAAAAAAAAF
 *
 * Magic 1 ‖ partition time is the older form.
 */
import { Buffer } from 'node:buffer'
import { partitionFor } from '#log'
import { ByteWriter, readInt64 } from '#system'

export interface CommitMetadata {
  readonly partitionTimeMs: number
  readonly times: ReadonlyMap<string, number>
}

const MAGIC = 2
const UNKNOWN: CommitMetadata = { partitionTimeMs: -1, times: new Map() }

/** Short names are base64url of this many hashes. */
const HASHES = 1 << 24

/** R21: over this many characters names give way to short ones; brokers refuse 4,096. */
export const METADATA_CHARACTERS_MAX = 3500

export function encodeMetadata({ partitionTimeMs, times }: CommitMetadata): string {
  const writer = new ByteWriter(64)
  writer.uint8(MAGIC)
  writer.int64(partitionTimeMs)
  if (times.size > 0) writer.int32(times.size)
  for (const [name, timeMs] of times) {
    writer.int32(Buffer.byteLength(name))
    writer.utf8(name)
    writer.int64(timeMs)
  }
  return writer.buffer.toString('base64', 0, writer.length)
}

/** The size of what `encodeMetadata` makes of these names, whatever the times. */
export function metadataCharacters(names: Iterable<string>): number {
  let bytes = 13
  for (const name of names) bytes += 12 + Buffer.byteLength(name)
  return Math.ceil(bytes / 3) * 4
}

export function decodeMetadata(text: string): CommitMetadata {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < 9) return UNKNOWN
  const magic = bytes[0]
  if (magic !== 1 && magic !== MAGIC) return UNKNOWN
  const partitionTimeMs = readInt64(bytes, 1)
  const times = new Map<string, number>()
  if (magic === 1 || bytes.length < 13) return { partitionTimeMs, times }
  let at = 13
  for (let left = bytes.readInt32BE(9); left > 0; left--) {
    if (at + 4 > bytes.length) return UNKNOWN
    const nameEnd = at + 4 + bytes.readInt32BE(at)
    if (nameEnd < at + 4 || nameEnd + 8 > bytes.length) return UNKNOWN
    times.set(bytes.toString('utf8', at + 4, nameEnd), readInt64(bytes, nameEnd))
    at = nameEnd + 8
  }
  return { partitionTimeMs, times }
}

/**
 * R21: four characters for each name, the same whenever the set of names is. Names that meet on one take the next free hash
 * in the order of the names.
 */
export function shortNames(names: Iterable<string>): ReadonlyMap<string, string> {
  const shortOf = new Map<string, string>()
  const taken = new Set<string>()
  for (const name of [...new Set(names)].sort()) {
    let hash = partitionFor(Buffer.from(name), HASHES)
    while (taken.has(shortOfHash(hash))) hash = (hash + 1) % HASHES
    taken.add(shortOfHash(hash))
    shortOf.set(name, shortOfHash(hash))
  }
  return shortOf
}

/** 24 bits of a hash as four characters. */
function shortOfHash(hash: number): string {
  return Buffer.from([hash >>> 16, hash >>> 8, hash]).toString('base64url')
}
