/**
 * Compares what was migrated, record by record: key, value, headers, timestamp, and the order in each partition.
 *
 * Between copying and comparing either log may have cleaned up. What is missing on one side must have been allowed to go: by
 * retention below the first offset, or by compaction with a later record of the same key in sight.
 *
 * Invariant: passes over every record that either log has.
 */
import { Buffer } from 'node:buffer'
import { partitionKey, type Log, type RawRecord, type TopicPartition } from '#log'
import { ByteWriter } from '#system'
import type { Ledger } from './ledger.ts'
import { MigrationError } from './migration-error.ts'
import type { OffsetMap } from './offset-map.ts'
import { PartitionRecords } from './partition-records.ts'
import { placesOf, type PlannedTopic } from './plan.ts'
import { asItIs, keyOf, type Carried, type Translate } from './translate.ts'

export interface VerifiedTopic {
  readonly topic: string
  /** On the target. */
  readonly records: number
  /** Copied, and no longer on the target: retention or compaction has taken them there. */
  readonly removed: number
  /** SHA-256 over timestamp, key, value and headers of every record of the target, partition by partition. */
  readonly digest: string
}

const DIGEST_BYTES = 1 << 16

export async function verifyTopic(
  logs: { readonly source: Log; readonly target: Log; readonly ledger: Ledger },
  topic: PlannedTopic,
  translateFor: (place: TopicPartition) => Translate,
): Promise<VerifiedTopic> {
  const digest = new RecordDigest()
  let removed = 0
  for (const place of placesOf([topic])) {
    const map = logs.ledger.map(place)
    if (map === undefined) continue
    const source = await PartitionRecords.open(logs.source, place)
    const target = await PartitionRecords.open(logs.target, place)
    try {
      const comparison = new Comparison(place, topic, map, source, target, digest)
      removed += await comparison.run(translateFor(place))
    } finally {
      await source.close()
      await target.close()
    }
  }
  return { topic: topic.topic, records: digest.records, removed, digest: digest.finish() }
}

class Comparison {
  readonly #place: TopicPartition
  readonly #map: OffsetMap
  readonly #source: PartitionRecords
  readonly #target: PartitionRecords
  readonly #digest: RecordDigest
  readonly #compacts: boolean
  readonly #expected = new ByteWriter()
  /** Keys whose record is missing on the target, until a later one of the same key is met. */
  readonly #superseded = new Set<string>()
  #isTargetOpen = true

  constructor(
    place: TopicPartition,
    { config }: PlannedTopic,
    map: OffsetMap,
    source: PartitionRecords,
    target: PartitionRecords,
    digest: RecordDigest,
  ) {
    this.#place = place
    this.#map = map
    this.#source = source
    this.#target = target
    this.#digest = digest
    this.#compacts = (config['cleanup.policy'] ?? '').includes('compact')
  }

  /** How many copied records the target no longer has. */
  async run(translate: Translate): Promise<number> {
    let removed = 0
    await this.#advanceTarget()
    for (;;) {
      const next = this.#source.next()
      if (!(next === true || (await next))) break
      const record = this.#source.cursor
      // Came in after it was copied: whoever asks whether the source has moved finds it.
      if (record.offset >= this.#map.sourceEnd) break
      const offset = this.#map.recordAt(record.offset)
      if (offset === undefined) return this.#differ(record.offset, 'was not copied')
      while (this.#isTargetOpen && this.#target.cursor.offset < offset) {
        this.#passTargetOnly()
        await this.#advanceTarget()
      }
      if (!this.#isTargetOpen || this.#target.cursor.offset !== offset) {
        this.#passSourceOnly(record, offset)
        removed += 1
        continue
      }
      this.#compare(record, translate(record))
      await this.#advanceTarget()
    }
    while (this.#isTargetOpen) {
      this.#passTargetOnly()
      await this.#advanceTarget()
    }
    const [lost] = this.#superseded
    if (lost !== undefined) {
      const key = Buffer.from(lost, 'latin1').toString()
      this.#differ(this.#source.end, `the last record of key ${key} is missing`)
    }
    return removed
  }

  async #advanceTarget(): Promise<void> {
    const next = this.#target.next()
    this.#isTargetOpen = next === true || (await next)
  }

  #compare(source: RawRecord, carried: Carried): void {
    const target = this.#target.cursor
    this.#expected.length = 0
    writeRecord(this.#expected, source, carried)
    if (!this.#digest.add(target, this.#expected))
      this.#differ(source.offset, `is another at ${target.offset}`)
    if (this.#superseded.size > 0) this.#superseded.delete(keyText(target))
  }

  /** Only what the source has cleaned up since it was copied. */
  #passTargetOnly(): void {
    const { cursor } = this.#target
    if (!this.#map.isTarget(cursor.offset)) {
      this.#differ(cursor.offset, 'of the target came from somewhere else')
    }
    this.#digest.add(cursor)
    if (this.#superseded.size > 0) this.#superseded.delete(keyText(cursor))
  }

  #passSourceOnly(record: RawRecord, offset: number): void {
    if (offset < this.#target.start) return
    if (!this.#compacts) this.#differ(record.offset, 'is missing')
    // A tombstone may go without a successor.
    if (record.valueStart >= 0) this.#superseded.add(keyText(record))
  }

  #differ(offset: number, what: string): never {
    throw new MigrationError('DIFFERS', `${partitionKey(this.#place)}: record ${offset} ${what}`)
  }
}

/** Records one after the other, and what they come to. */
class RecordDigest {
  records = 0
  readonly #hash = new Bun.CryptoHasher('sha256')
  readonly #bytes = new ByteWriter(2 * DIGEST_BYTES)

  /** False if the record is not as expected. */
  add(record: RawRecord, expected?: ByteWriter): boolean {
    const start = this.#bytes.length
    writeRecord(this.#bytes, record, asItIs(record))
    const { buffer, length } = this.#bytes
    const isSame =
      expected === undefined ||
      buffer.compare(expected.buffer, 0, expected.length, start, length) === 0
    this.records += 1
    if (length >= DIGEST_BYTES) {
      this.#hash.update(buffer.subarray(0, length))
      this.#bytes.length = 0
    }
    return isSame
  }

  finish(): string {
    const { buffer, length } = this.#bytes
    return this.#hash.update(buffer.subarray(0, length)).digest('hex')
  }
}

/** Timestamp, key, value, headers, each with its length in front; −1 is null. */
function writeRecord(out: ByteWriter, record: RawRecord, { value, headers }: Carried): void {
  out.int64(record.timestampMs)
  writeBytes(out, keyOf(record))
  writeBytes(out, value)
  out.int32(headers.length)
  for (const [name, bytes] of headers) {
    writeBytes(out, Buffer.from(name))
    writeBytes(out, bytes)
  }
}

function writeBytes(out: ByteWriter, bytes: Uint8Array | null): void {
  out.int32(bytes?.length ?? -1)
  if (bytes !== null) out.bytes(bytes)
}

function keyText({ buffer, keyStart, keyEnd }: RawRecord): string {
  return keyStart < 0 ? '' : buffer.latin1Slice(keyStart, keyEnd)
}
