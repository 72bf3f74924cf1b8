/** Damaged batches, by the hundred thousand: LOG_CORRUPT or nothing has changed; never a crash, never a wrong record. */
import { expect, test } from 'bun:test'

import { compress, COMPRESSIONS } from './compression.ts'
import { LogError } from './log.ts'
import {
  ATTRIBUTES_AT,
  BATCH_HEADER_BYTES,
  checkBatch,
  checkPlace,
  LENGTH_AT,
  LENGTH_OVERHEAD,
  readBatchHeader,
  sealBatch,
} from './record-batch.ts'
import { RecordCursor } from './record-cursor.ts'
import { decodeBatch } from './test-helpers/decode.ts'
import { batchOf, vectors } from './test-helpers/golden.ts'

const SEED = 20_261_124
const place = { topic: 'orders', partition: 0 }

/** Mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

// The small ones: what can go wrong in a batch does not depend on its size, and many are wanted.
const subjects = vectors
  .map((vector) => ({ name: vector.name, vector: batchOf(vector) }))
  .filter(({ vector }) => vector.bytes.length < 2_500)
  .map(({ name, vector: { bytes, batch } }) => ({
    name,
    bytes,
    at: { ...place, offset: batch.baseOffset },
    remembered: { nextOffset: batch.lastOffset + 1, leaderEpoch: batch.partitionLeaderEpoch },
    decoded: JSON.stringify(decodeBatch(bytes, place)),
  }))

/** And the same records as this build compresses them. */
const ownSubjects = subjects.flatMap(({ name, bytes, ...rest }) => {
  const { compression } = readBatchHeader(bytes)
  if (compression !== 'none' || bytes.length === 0) return []
  return COMPRESSIONS.filter((each) => each !== 'none').map((each) => {
    const records = compress(each, bytes.subarray(BATCH_HEADER_BYTES))
    const own = Buffer.concat([bytes.subarray(0, BATCH_HEADER_BYTES), records])
    own.writeInt16BE(own.readInt16BE(ATTRIBUTES_AT) | COMPRESSIONS.indexOf(each), ATTRIBUTES_AT)
    own.writeInt32BE(own.length - LENGTH_OVERHEAD, LENGTH_AT)
    sealBatch(own)
    return { ...rest, name: `${name}, ${each} of this build`, bytes: own }
  })
})
subjects.push(...ownSubjects)

function subjectOf(wanted: string): (typeof subjects)[number] {
  const found = subjects.find(({ name }) => name === wanted)
  if (!found) throw new Error(`there is no vector ${wanted}`)
  return found
}

/** One to four bits flipped, bytes overwritten, or a stretch lost, doubled or moved. */
function mutate(bytes: Buffer, random: (below: number) => number, from: number): Buffer {
  const mutated = Buffer.from(bytes)
  const anywhere = (): number => from + random(bytes.length - from)
  const kind = random(8)
  if (kind < 4) {
    for (let n = random(4); n >= 0; n -= 1) {
      const at = anywhere()
      mutated[at] = (mutated[at] as number) ^ (1 << random(8))
    }
    return mutated
  }
  if (kind < 6) {
    for (let n = random(4); n >= 0; n -= 1)
      mutated[anywhere()] = random(4) === 0 ? 0xff : random(256)
    return mutated
  }
  const at = anywhere()
  const length = Math.min(1 + random(16), bytes.length - at)
  if (kind === 6) return Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + length)])
  return Buffer.concat([mutated.subarray(0, at + length), mutated.subarray(at)])
}

test('200,000 mutations give LOG_CORRUPT or what was written', () => {
  const random = randomFrom(SEED)
  const cursor = new RecordCursor()
  let corrupt = 0
  let harmless = 0
  for (let n = 0; n < 200_000; n += 1) {
    const subject = subjects[n % subjects.length] as (typeof subjects)[number]
    const mutated = mutate(subject.bytes, random, 0)
    try {
      // As a log reads: the batch in itself, then what is not covered against what is remembered.
      checkBatch(mutated, subject.at)
      checkPlace(mutated, subject.at, subject.remembered)
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'LOG_CORRUPT')) throw error
      if (error.at?.offset !== subject.at.offset) throw error
      corrupt += 1
      continue
    }
    if (JSON.stringify(decodeBatch(mutated, place, cursor)) !== subject.decoded) {
      throw new Error(`mutation ${n} of ${subject.name} gave other records`)
    }
    harmless += 1
  }
  expect(corrupt + harmless).toBe(200_000)
  expect(corrupt).toBeGreaterThan(190_000)
  // Some mutations write what was there; more would mean that not everything is looked at.
  expect(harmless).toBeLessThan(2_000)
}, 180_000)

test('content that is damaged under a right checksum gives LOG_CORRUPT, or records inside of the batch', () => {
  const random = randomFrom(SEED + 1)
  const cursor = new RecordCursor()
  const seen = { corrupt: 0, decoded: 0 }
  for (let n = 0; n < 60_000; n += 1) {
    const subject = subjects[n % subjects.length] as (typeof subjects)[number]
    // Everything after the checksum; then length and checksum are made right again.
    const mutated = mutate(subject.bytes, random, 21)
    if (mutated.length < 61) continue
    mutated.writeInt32BE(mutated.length - 12, 8)
    sealBatch(mutated)
    checkBatch(mutated, subject.at)
    try {
      let last = -1
      cursor.open(mutated, place)
      while (cursor.next()) {
        const { buffer, keyStart, keyEnd, valueStart, valueEnd, offset, timestampMs } = cursor
        const inside =
          keyEnd <= buffer.length &&
          valueEnd <= buffer.length &&
          keyStart <= keyEnd &&
          valueStart <= valueEnd &&
          keyStart >= -1 &&
          valueStart >= -1
        if (!inside || offset <= last) throw new Error(`mutation ${n} left the batch`)
        if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(timestampMs)) {
          throw new Error(`mutation ${n}: offset ${offset}, timestamp ${timestampMs}`)
        }
        if (cursor.headers().length !== cursor.headerCount) throw new Error(`mutation ${n}`)
        last = offset
      }
      seen.decoded += 1
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'LOG_CORRUPT')) throw error
      seen.corrupt += 1
    }
  }
  // Both happen, or this would test nothing.
  expect(seen.corrupt).toBeGreaterThan(10_000)
  expect(seen.decoded).toBeGreaterThan(1_000)
}, 180_000)

test('a batch that would unpack to more than the limit is LOG_CORRUPT', () => {
  const subject = subjectOf('100 kB value, gzip')
  const bomb = Bun.gzipSync(new Uint8Array(300 * 1024 * 1024))
  const bytes = Buffer.concat([subject.bytes.subarray(0, 61), bomb])
  bytes.writeInt32BE(bytes.length - 12, 8)
  sealBatch(bytes)
  expect(() => new RecordCursor().open(bytes, place)).toThrow('cannot be decompressed')
})

test('a cursor that met damage stays before it', () => {
  const subject = subjectOf('timestamps out of order')
  const bytes = Buffer.from(subject.bytes)
  // The second record's length says more than there is.
  const second = 61 + 1 + bytes.readUInt8(61) / 2
  bytes[second] = 0x7e
  sealBatch(bytes)
  const cursor = new RecordCursor()
  cursor.open(bytes, place)
  expect(cursor.next()).toBe(true)
  for (let n = 0; n < 3; n += 1) expect(() => cursor.next()).toThrow('orders-0 at offset 1')
  cursor.open(subject.bytes, place)
  expect(cursor.next()).toBe(true)
})
