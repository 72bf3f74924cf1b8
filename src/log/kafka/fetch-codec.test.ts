import { describe, expect, test } from 'bun:test'
import { fetchV13, fetchV14, fetchV15, fetchV16, fetchV17, Writer } from '@platformatic/kafka'
import type { Buffer } from 'node:buffer'

import { decodeFetch, encodeFetch } from './fetch-codec.ts'
import { batchAt } from './test-helpers/batches.ts'

const ORDERS = '7d444840-9dc0-11d1-b245-5ffdce74fad2'
const STOCK = '00000000-0000-4000-8000-0000000000ff'

describe('a request', () => {
  const partitions = [
    { topicId: ORDERS, partition: 0, leaderEpoch: 3, offset: 2 ** 40 + 5, bytesMax: 1 << 20 },
    { topicId: STOCK, partition: 200, leaderEpoch: -1, offset: 0, bytesMax: 300 },
    { topicId: ORDERS, partition: 1, leaderEpoch: 4, offset: 9, bytesMax: 1 << 20 },
  ]
  const inLibraryWords = [ORDERS, STOCK].map((topicId) => ({
    topicId,
    partitions: partitions
      .filter((each) => each.topicId === topicId)
      .map(({ partition, leaderEpoch, offset, bytesMax }) => ({
        partition,
        currentLeaderEpoch: leaderEpoch,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: bytesMax,
      })),
  }))

  test.each([
    [13, fetchV13],
    [14, fetchV14],
    [15, fetchV15],
    [16, fetchV16],
    [17, fetchV17],
  ] as const)('of version %d has the bytes of the client library', (version, library) => {
    const request = { waitMs: 250, bytesMax: 8 << 20, isolation: 'read-committed', partitions }
    const theirs = library.createRequest(250, 1, 8 << 20, 1, 0, -1, inLibraryWords, [], '')
    const ours = encodeFetch(version, { ...request, isolation: 'read-committed' })
    expect(ours.toString('hex')).toBe(theirs.buffer.toString('hex'))
  })

  test('says that it reads uncommitted', () => {
    const ours = (isolation: 'read-committed' | 'read-uncommitted'): Buffer =>
      encodeFetch(17, { waitMs: 0, bytesMax: 1, isolation, partitions: [] })
    expect(ours('read-committed')[12]).toBe(1)
    expect(ours('read-uncommitted')[12]).toBe(0)
  })
})

describe('a response', () => {
  const records = batchAt({ baseOffset: 4 }, ['a', 'b'])
  const small = batchAt({ baseOffset: 9 }, ['c'])

  interface Part {
    readonly partition: number
    readonly errorCode: number
    readonly aborted: readonly (readonly [bigint, bigint])[] | null
    readonly records: Buffer | null
    readonly leader?: readonly [nodeId: number, epoch: number]
  }

  function response(parts: readonly Part[], errorCode: number = 0): Buffer {
    return Writer.create()
      .appendInt32(0)
      .appendInt16(errorCode)
      .appendInt32(0)
      .appendArray([ORDERS], (topic, id) => {
        topic.appendUUID(id)
        topic.appendArray(
          [...parts],
          (writer, part) => {
            writer.appendInt32(part.partition).appendInt16(part.errorCode)
            writer.appendInt64(100n).appendInt64(90n).appendInt64(2n)
            writer.appendArray(part.aborted && [...part.aborted], (each, [id, first]) => {
              each.appendInt64(id).appendInt64(first)
            })
            writer.appendInt32(-1).appendBytes(part.records)
            if (part.leader === undefined) return writer.appendTaggedFields()
            // A field that nobody knows, then the leader.
            writer.appendUnsignedVarInt(2)
            writer.appendUnsignedVarInt(0).appendUnsignedVarInt(3).append(small.subarray(0, 3))
            writer.appendUnsignedVarInt(1).appendUnsignedVarInt(9)
            return writer
              .appendInt32(part.leader[0])
              .appendInt32(part.leader[1])
              .appendTaggedFields()
          },
          true,
          false,
        )
      })
      .appendTaggedFields().buffer
  }

  test('keeps every partition’s answer, whatever another’s error', () => {
    const bytes = response([
      { partition: 0, errorCode: 0, aborted: [[7n, 4n]], records },
      { partition: 1, errorCode: 6, aborted: null, records: null, leader: [2, 11] },
      { partition: 2, errorCode: 1, aborted: [], records: null, leader: [-1, -1] },
    ])
    const { errorCode, partitions } = decodeFetch([bytes])
    expect(errorCode).toBe(0)
    expect(partitions).toMatchObject([
      {
        topicId: ORDERS,
        partition: 0,
        errorCode: 0,
        highWatermark: 100,
        lastStableOffset: 90,
        aborted: [{ producerId: 7, firstOffset: 4 }],
        leader: undefined,
      },
      { partition: 1, errorCode: 6, aborted: undefined, leader: { nodeId: 2, leaderEpoch: 11 } },
      { partition: 2, errorCode: 1, aborted: [], leader: undefined },
    ])
    expect(partitions[0]?.records.equals(records)).toBe(true)
    expect(partitions[1]?.records).toHaveLength(0)
  })

  test('is the same in whatever pieces it came', () => {
    const bytes = response([
      { partition: 0, errorCode: 0, aborted: [[7n, 4n]], records, leader: [3, 12] },
      { partition: 1, errorCode: 6, aborted: null, records: null, leader: [2, 11] },
      { partition: 2, errorCode: 0, aborted: [], records: small },
    ])
    const whole = decodeFetch([bytes])
    for (const size of [1, 2, 3, 5, 7, 16, 61, 100]) {
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
      expect(decodeFetch(pieces)).toEqual(whole)
    }
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(decodeFetch([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole)
    }
  })

  test('keeps nothing of itself in memory but the records', () => {
    const large = batchAt({ baseOffset: 0 }, ['x'.repeat(10_000)])
    const bytes = response([{ partition: 0, errorCode: 0, aborted: [], records: large }])
    const [answer] = decodeFetch([bytes]).partitions
    expect(answer?.records.equals(large)).toBe(true)
    expect(answer?.records.buffer.byteLength).toBe(large.length)
  })

  test('that is cut short is no response', () => {
    const bytes = response([
      { partition: 0, errorCode: 0, aborted: [[7n, 4n]], records, leader: [2, 11] },
    ])
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeFetch([bytes.subarray(0, length)])).toThrow(RangeError)
    }
  })
})
