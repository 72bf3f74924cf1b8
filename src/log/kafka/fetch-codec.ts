/**
 * Fetch, versions 13 to 17, without a session: the client library's own codec decodes every record, and gives up a whole answer
 * for one partition's error.
 *
 *     request   [replica id int32, only 13 and 14] wait int32 │ bytes min int32 │ bytes max int32 │ isolation int8
 *               session id int32 │ session epoch int32 │ topics │ forgotten topics │ rack
 *               a topic: id, 16 bytes │ partitions: index int32 │ leader epoch int32 │ offset int64 │ last fetched epoch int32
 *                                                   │ log start int64 │ bytes max int32
 *     response  throttle int32 │ error int16 │ session id int32 │ topics
 *               a topic: id, 16 bytes │ partitions: index int32 │ error int16 │ high watermark int64 │ last stable offset int64
 *                  │ log start int64 │ aborted: producer id int64, first offset int64 │ preferred replica int32 │ records
 *
 * Arrays and records have their length plus one in front, as an unsigned varint; 0 is null. Every struct ends with tagged fields.
 *
 * Invariant: records come out as they are, undecoded, each partition's in one piece that keeps nothing else in memory.
 */
import type { Connection, Reader } from '@platformatic/kafka'
import { asBuffer, ByteWriter, readInt64 } from '#system'
import { Buffer } from 'node:buffer'

import type { Isolation } from '../log.ts'
import type { AbortedTransaction } from './read-committed.ts'
import { CODE, kafkaError } from './errors.ts'
import { client } from './client.ts'

const { apiVersionsV3, Writer } = client

const FETCH_KEY = 1
const VERSION_MIN = 13
const VERSION_MAX = 17
/** From here on a consumer does not say that it is no replica. */
const WITHOUT_REPLICA_ID = 15
const NO_SESSION = { id: 0, epoch: -1 }
const CURRENT_LEADER_TAG = 1
const EMPTY = Buffer.alloc(0)

export interface WantedPartition {
  readonly topicId: string
  readonly partition: number
  /** Another epoch's leader answers with an error instead of records. */
  readonly leaderEpoch: number
  readonly offset: number
  /** The first batch comes whole even if it is larger. */
  readonly bytesMax: number
}

export interface FetchRequest {
  /** How long the broker waits for a first byte. */
  readonly waitMs: number
  readonly bytesMax: number
  readonly isolation: Isolation
  readonly partitions: readonly WantedPartition[]
}

export interface AnsweredPartition {
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  /** Who leads, if the broker says that it does not. */
  readonly leader: { readonly nodeId: number; readonly leaderEpoch: number } | undefined
  /** Transactions that end aborted and reach into these records; undefined for read-uncommitted. */
  readonly aborted: readonly AbortedTransaction[] | undefined
  /** Batches one after the other; the last may be cut off. */
  readonly records: Buffer
}

export interface FetchResponse {
  readonly errorCode: number
  readonly partitions: readonly AnsweredPartition[]
}

/** The newest version that both sides speak; LOG_REFUSED if there is none. */
export async function fetchVersionOf(connection: Connection): Promise<number> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, 'millrace', '0')
  const offered = apiKeys.find(({ apiKey }) => apiKey === FETCH_KEY)
  const version = Math.min(offered?.maxVersion ?? 0, VERSION_MAX)
  if (offered === undefined || version < Math.max(offered.minVersion, VERSION_MIN)) {
    throw kafkaError(CODE.unsupportedVersion, 'fetching', {
      detail:
        'the broker speaks no Fetch from version 13 to 17: Apache Kafka 3.1 or later is needed',
    })
  }
  return version
}

export function fetch(
  connection: Connection,
  version: number,
  request: FetchRequest,
): Promise<FetchResponse> {
  return new Promise((resolve, reject) => {
    connection.send(
      FETCH_KEY,
      version,
      () => Writer.create().append(encodeFetch(version, request)),
      (_correlation: number, _key: number, _version: number, reader: Reader) =>
        // As the socket gave it: putting it together would copy the records once more.
        decodeFetch(reader.buffer.buffers),
      true,
      true,
      (error: Error | null, response?: FetchResponse) => {
        if (error !== null || response === undefined) reject(error)
        else resolve(response)
      },
    )
  })
}

export function encodeFetch(version: number, request: FetchRequest): Buffer {
  const topics = Map.groupBy(request.partitions, ({ topicId }) => topicId)
  const out = new ByteWriter(64 + request.partitions.length * 56)
  if (version < WITHOUT_REPLICA_ID) out.int32(-1)
  out.int32(request.waitMs)
  // A byte is worth an answer: the broker's wait is for an empty log only.
  out.int32(1)
  out.int32(request.bytesMax)
  out.uint8(request.isolation === 'read-committed' ? 1 : 0)
  out.int32(NO_SESSION.id)
  out.int32(NO_SESSION.epoch)
  writeLength(out, topics.size)
  for (const [topicId, partitions] of topics) {
    out.bytes(Buffer.from(topicId.replaceAll('-', ''), 'hex'))
    writeLength(out, partitions.length)
    for (const { partition, leaderEpoch, offset, bytesMax } of partitions) {
      out.int32(partition)
      out.int32(leaderEpoch)
      out.int64(offset)
      out.int32(-1)
      out.int64(-1)
      out.int32(bytesMax)
      out.uint8(0)
    }
    out.uint8(0)
  }
  // No forgotten topics, no rack, no tagged fields.
  writeLength(out, 0)
  writeLength(out, 0)
  out.uint8(0)
  return asBuffer(out.take())
}

/** `chunks` are the answer, in order, behind its header. */
export function decodeFetch(chunks: readonly Buffer[]): FetchResponse {
  const input = new ResponseInput(chunks)
  input.skip(4)
  const errorCode = input.int16()
  input.skip(4)
  const partitions: AnsweredPartition[] = []
  for (let topics = input.length(); topics > 0; topics -= 1) {
    const topicId = input.uuid()
    for (let left = input.length(); left > 0; left -= 1) {
      partitions.push(readPartition(input, topicId))
    }
    input.skipTags()
  }
  input.skipTags()
  return { errorCode, partitions }
}

function readPartition(input: ResponseInput, topicId: string): AnsweredPartition {
  const partition = input.int32()
  const errorCode = input.int16()
  const highWatermark = input.int64()
  const lastStableOffset = input.int64()
  input.skip(8)
  const aborted = readAborted(input)
  input.skip(4)
  const records = input.bytes()
  let leader: AnsweredPartition['leader']
  input.tags((tag, field) => {
    if (tag !== CURRENT_LEADER_TAG) return
    const nodeId = field.readInt32BE(0)
    const leaderEpoch = field.readInt32BE(4)
    if (nodeId >= 0) leader = { nodeId, leaderEpoch }
  })
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    leader,
    aborted,
    records,
  }
}

function readAborted(input: ResponseInput): readonly AbortedTransaction[] | undefined {
  const count = input.length()
  if (count < 0) return undefined
  const aborted: AbortedTransaction[] = []
  for (let left = count; left > 0; left -= 1) {
    aborted.push({ producerId: input.int64(), firstOffset: input.int64() })
    input.skipTags()
  }
  return aborted
}

/** Reads forward over what the socket gave, piece by piece; what reaches beyond the answer's end throws a RangeError. */
class ResponseInput {
  readonly #chunks: readonly Buffer[]
  #chunk: Buffer
  #index: number = 0
  #at: number = 0

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks
    this.#chunk = chunks[0] ?? EMPTY
  }

  int16(): number {
    return this.#next(2).readInt16BE(this.#at - 2)
  }

  int32(): number {
    return this.#next(4).readInt32BE(this.#at - 4)
  }

  int64(): number {
    return readInt64(this.#next(8), this.#at - 8)
  }

  uuid(): string {
    const hex = this.#next(16).toString('hex', this.#at - 16, this.#at)
    return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
  }

  /** Of an array or bytes; −1 for null. */
  length(): number {
    return this.#varint() - 1
  }

  bytes(): Buffer {
    const length = this.length()
    return length <= 0 ? EMPTY : this.#copy(length)
  }

  skipTags(): void {
    this.tags(() => {})
  }

  /** Calls `read` with each tagged field. */
  tags(read: (tag: number, field: Buffer) => void): void {
    for (let left = this.#varint(); left > 0; left -= 1) {
      const tag = this.#varint()
      read(tag, this.#copy(this.#varint()))
    }
  }

  skip(count: number): void {
    this.#next(count)
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#next(1).readUInt8(this.#at - 1)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    return value
  }

  /** A buffer in which the next `count` bytes are in one piece, and end where `#at` now is. */
  #next(count: number): Buffer {
    if (this.#at + count <= this.#chunk.length) {
      this.#at += count
      return this.#chunk
    }
    // What lies across the end of a piece is put together with all of the piece behind it.
    const start = this.#copy(count)
    this.#chunk = Buffer.concat([start, this.#chunk.subarray(this.#at)])
    this.#at = count
    return this.#chunk
  }

  /** The next `length` bytes, copied: they keep nothing else of the answer in memory. */
  #copy(length: number): Buffer {
    let available = this.#chunk.length - this.#at
    for (let n = this.#index + 1; available < length; n += 1) {
      const chunk = this.#chunks[n]
      if (chunk === undefined) throw new RangeError('an answer ends before it should')
      available += chunk.length
    }
    const target = Buffer.allocUnsafe(length)
    for (let filled = 0; filled < length;) {
      if (this.#at === this.#chunk.length) {
        this.#index += 1
        this.#chunk = this.#chunks[this.#index] ?? EMPTY
        this.#at = 0
      }
      const copied = this.#chunk.copy(target, filled, this.#at, this.#at + length - filled)
      this.#at += copied
      filled += copied
    }
    return target
  }
}

function writeLength(out: ByteWriter, length: number): void {
  let rest = length + 1
  out.reserve(5)
  for (; rest > 0x7f; rest >>>= 7) out.uint8((rest & 0x7f) | 0x80)
  out.uint8(rest)
}
