import { describe, expect, test } from 'bun:test'

import { COMPRESSIONS } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { coded } from './log.contract/harness.ts'
import {
  ATTRIBUTES_AT,
  checkBatch,
  checkPlace,
  CRC_AT,
  readBatchHeader,
  stampLogAppendTime,
  stampOffsets,
  stampProducer,
} from './record-batch.ts'
import { RecordBatchWriter } from './record-batch-writer.ts'
import { decodeBatch } from './test-helpers/decode.ts'
import { batchOf, type GoldenRecord, vectors } from './test-helpers/golden.ts'

const place = { topic: 'orders', partition: 3 }
const bytesOf = (hex: string | null): Uint8Array | null =>
  hex === null ? null : Buffer.from(hex, 'hex')

function encode(records: readonly GoldenRecord[], writer: RecordBatchWriter): Uint8Array {
  for (const { timestamp, keyHex, valueHex, headers } of records) {
    const decoded = headers.map(([name, hex]) => [name, bytesOf(hex)] as const)
    writer.add(timestamp, bytesOf(keyHex), bytesOf(valueHex), decoded)
  }
  return writer.finish()
}

test('the vectors are those of Kafka: 69, in every compression', () => {
  const used = vectors.flatMap(({ batches }) => batches.map(({ compression }) => compression))
  expect(vectors).toHaveLength(69)
  expect(new Set(used)).toEqual(new Set(COMPRESSIONS))
})

describe('a batch that Kafka wrote', () => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))('decodes: %s', (_, vector) => {
    const { batch, bytes } = batchOf(vector)
    checkBatch(bytes, { ...place, offset: batch.baseOffset })
    expect(readBatchHeader(bytes)).toEqual({
      baseOffset: batch.baseOffset,
      sizeBytes: batch.sizeInBytes,
      leaderEpoch: batch.partitionLeaderEpoch,
      compression: batch.compression as 'none',
      timestampType: batch.timestampType === 'CreateTime' ? 'create-time' : 'log-append-time',
      transactional: batch.transactional,
      control: batch.control,
      lastOffsetDelta: batch.lastOffset - batch.baseOffset,
      baseTimestampMs: Number(bytes.readBigInt64BE(27)),
      maxTimestampMs: batch.maxTimestamp,
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: batch.records.length,
    })
    expect(bytes.readUInt32BE(CRC_AT)).toBe(batch.crc)
    const expected = batch.records.map(({ controlType: _type, ...record }) => record)
    expect(decodeBatch(bytes, place)).toEqual(expected)
  })

  test.each(
    vectors
      .filter(({ batches }) => batches[0]?.compression === 'none')
      .map((vector) => [vector.name, vector] as const),
  )('is encoded to the same bytes: %s', (_, vector) => {
    const { batch, bytes } = batchOf(vector)
    // A broker that stamps its own time hides the records' own, which are still in the bytes.
    const own = Buffer.from(bytes)
    own.writeInt16BE(own.readInt16BE(ATTRIBUTES_AT) & ~0x08, ATTRIBUTES_AT)
    const encoded = Buffer.from(encode(decodeBatch(own, place), new RecordBatchWriter()))
    if (batch.timestampType === 'LogAppendTime') stampLogAppendTime(encoded, batch.maxTimestamp)
    if (batch.control) encoded.writeInt16BE(0x20, ATTRIBUTES_AT)
    const { producerId, producerEpoch: epoch, baseSequence, transactional } = batch
    stampProducer(encoded, { producerId, epoch, baseSequence, transactional })
    stampOffsets(encoded, {
      baseOffset: batch.baseOffset,
      leaderEpoch: batch.partitionLeaderEpoch,
    })
    expect(encoded.toString('hex')).toBe(vector.bytesHex)
  })

  test.each(COMPRESSIONS)('survives a round trip through %s', (compression) => {
    const writer = new RecordBatchWriter({ compression })
    const used = new Set<string>()
    for (const vector of vectors) {
      const { batch } = batchOf(vector)
      if (batch.timestampType === 'LogAppendTime') continue
      const encoded = encode(batch.records, writer)
      used.add(readBatchHeader(encoded).compression)
      stampOffsets(encoded, { baseOffset: batch.baseOffset, leaderEpoch: 0 })
      checkBatch(encoded, { ...place, offset: batch.baseOffset })
      const expected = batch.records.map(({ controlType: _type, ...record }) => record)
      expect(decodeBatch(encoded, place)).toEqual(expected)
    }
    // What would not become smaller stays plain.
    expect(used).toEqual(new Set(['none', compression]))
  })
})

/** Three records at offset 40. */
function sample(): Buffer {
  const writer = new RecordBatchWriter()
  for (const value of ['a', 'b', 'c']) writer.add(1_700_000_000_000, null, Buffer.from(value), [])
  const bytes = Buffer.from(writer.finish())
  stampOffsets(bytes, { baseOffset: 40, leaderEpoch: 2 })
  return bytes
}
const at = { ...place, offset: 40 }
const remembered = { nextOffset: 43, leaderEpoch: 2 }

describe('LOG_CORRUPT', () => {
  test('names topic, partition and offset', () => {
    const bytes = sample()
    bytes[70] = (bytes[70] as number) ^ 1
    expect(() => checkBatch(bytes, at)).toThrow('orders-3 at offset 40')
    expect(() => checkBatch(bytes, at)).toThrow(
      expect.objectContaining({ code: 'LOG_CORRUPT', at }),
    )
  })

  test.each([
    ['magic', (bytes: Buffer) => bytes.writeInt8(1, 16), 'magic 1'],
    ['length', (bytes: Buffer) => bytes.writeInt32BE(bytes.length - 11, 8), 'says that it has'],
    ['checksum', (bytes: Buffer) => bytes.writeInt32BE(0, 17), 'checksum'],
  ])('a wrong %s is found in the batch itself', (_, damage, message) => {
    const bytes = sample()
    checkBatch(bytes, at)
    damage(bytes)
    expect(() => checkBatch(bytes, at)).toThrow(message)
  })

  test('a batch cut short, at any length, or followed by more, is no batch', () => {
    const bytes = sample()
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => checkBatch(bytes.subarray(0, length), at)).toThrow(coded('LOG_CORRUPT') as Error)
    }
    const longer = Buffer.concat([bytes, Buffer.alloc(1)])
    expect(() => checkBatch(longer, at)).toThrow(coded('LOG_CORRUPT') as Error)
  })

  test('the base offset, which no checksum covers, is held against the log’s', () => {
    const bytes = sample()
    checkPlace(bytes, at, remembered)
    bytes.writeInt8(1, 7)
    checkBatch(bytes, at)
    expect(() => checkPlace(bytes, at, remembered)).toThrow('base offset 1')
  })

  test('the leader epoch, which no checksum covers, is held against the log’s', () => {
    const bytes = sample()
    bytes.writeInt32BE(7, 12)
    checkBatch(bytes, at)
    expect(() => checkPlace(bytes, at, remembered)).toThrow('leader epoch 7')
  })

  test('the end, which another batch would have elsewhere, is held against the log’s', () => {
    expect(() => checkPlace(sample(), at, { ...remembered, nextOffset: 44 })).toThrow('ends at 43')
  })
})

describe('a stamp', () => {
  test('of offsets is outside of the checksum', () => {
    const bytes = sample()
    const before = bytes.readUInt32BE(CRC_AT)
    stampOffsets(bytes, { baseOffset: 9_007_199_254_740_000, leaderEpoch: 2_147_483_647 })
    expect(bytes.readUInt32BE(CRC_AT)).toBe(before)
    const header = readBatchHeader(bytes)
    expect(header.baseOffset).toBe(9_007_199_254_740_000)
    expect(header.leaderEpoch).toBe(2_147_483_647)
    expect(decodeBatch(bytes, place).at(-1)?.offset).toBe(9_007_199_254_740_002)
  })

  test('of a producer seals the batch anew; sequences wrap at 2^31', () => {
    const bytes = sample()
    for (const [given, kept] of [
      [0, 0],
      [2_147_483_647, 2_147_483_647],
      [2_147_483_648, 0],
      [2_147_483_650, 2],
      [-1, -1],
    ] as const) {
      const producer = { producerId: 2 ** 40 + 5, epoch: 32_767, baseSequence: given }
      stampProducer(bytes, { ...producer, transactional: given === 0 })
      checkBatch(bytes, at)
      expect(readBatchHeader(bytes)).toMatchObject({
        producerId: 2 ** 40 + 5,
        producerEpoch: 32_767,
        baseSequence: kept,
        transactional: given === 0,
      })
    }
    expect(bytes.readUInt32BE(CRC_AT)).toBe(crc32c(bytes, ATTRIBUTES_AT))
  })

  test('of a producer seals a large batch without going over it, and mends no damage in it', () => {
    const writer = new RecordBatchWriter()
    for (let n = 0; n < 500; n += 1) writer.add(n, null, Buffer.alloc(100, n), [])
    const bytes = Buffer.from(writer.finish())
    const producer = { producerId: 2 ** 40 + 5, epoch: 7, baseSequence: 9, transactional: true }
    stampProducer(bytes, producer)
    checkBatch(bytes, at)
    stampProducer(bytes, { ...producer, epoch: 8, baseSequence: 0 })
    checkBatch(bytes, at)
    expect(readBatchHeader(bytes)).toMatchObject({ producerEpoch: 8, baseSequence: 0 })
    bytes[30_000] = (bytes[30_000] as number) ^ 1
    stampProducer(bytes, producer)
    expect(() => checkBatch(bytes, at)).toThrow('checksum')
  })

  test('of the append time gives every record that time', () => {
    const bytes = sample()
    stampLogAppendTime(bytes, 1_800_000_000_000)
    checkBatch(bytes, at)
    expect(readBatchHeader(bytes)).toMatchObject({
      timestampType: 'log-append-time',
      maxTimestampMs: 1_800_000_000_000,
    })
    const times = new Set(decodeBatch(bytes, place).map(({ timestamp }) => timestamp))
    expect(times).toEqual(new Set([1_800_000_000_000]))
  })
})
