/**
 * Produce, versions 11 and 12, with batches that are already encoded. The client library's own codec stops at 11, encodes
 * records itself, and makes one partition's error the error of all.
 *
 *     request   transactional id?  acks int16 = −1  timeout int32  [ topic  [ partition int32  batch ] ]
 *     response  [ topic  [ partition int32  code int16  base offset int64  append time int64  log start int64
 *               [ record int32  text? ]  text?  tags: 0 = leader int32, leader epoch int32 ] ]  throttle int32
 *
 * Both versions have one layout. What differs is what they mean in a transaction: from 12 on the broker adds the partition to
 * it (version 2 of the protocol), before that it must have been added.
 *
 * Invariant: the answer has one entry a partition that was sent, whatever its code.
 */
import type * as kafka from '@platformatic/kafka'
import type { Buffer } from 'node:buffer'

import type { TopicPartition } from '../log.ts'
import { client } from './client.ts'

const { createAPI, Writer } = client

const PRODUCE = 0
const ACKS_ALL = -1
const CURRENT_LEADER_TAG = 0

/** One batch for one partition: a request has at most one a partition. */
export interface PartitionBatch extends TopicPartition {
  readonly batch: Buffer
}

export interface ProduceRequest {
  readonly transactionalId: string | null
  /** How long the broker waits for its replicas. */
  readonly timeoutMs: number
  readonly batches: readonly PartitionBatch[]
}

export interface ProduceAnswer extends TopicPartition {
  readonly code: number
  readonly baseOffset: number
  /** What the broker says about the code, if anything. */
  readonly detail: string | null
  readonly leader: { readonly nodeId: number; readonly leaderEpoch: number } | undefined
}

export type ProduceApi = kafka.API<[ProduceRequest], readonly ProduceAnswer[]>

export const produceV11: ProduceApi = createAPI(PRODUCE, 11, writeProduce, readProduce)
export const produceV12: ProduceApi = createAPI(PRODUCE, 12, writeProduce, readProduce)

export function writeProduce({
  transactionalId,
  timeoutMs,
  batches,
}: ProduceRequest): kafka.Writer {
  const topics = [...Map.groupBy(batches, ({ topic }) => topic)]
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ACKS_ALL)
    .appendInt32(timeoutMs)
    .appendArray(topics, (writer, [topic, partitions]) => {
      writer.appendString(topic).appendArray(partitions, (each, { partition, batch }) => {
        each.appendInt32(partition).appendBytes(batch)
      })
    })
    .appendTaggedFields()
}

export function readProduce(
  _correlationId: number,
  _key: number,
  _version: number,
  reader: kafka.Reader,
): readonly ProduceAnswer[] {
  const answers: ProduceAnswer[] = []
  reader.readArray(() => {
    const topic = reader.readString()
    reader.readArray(
      () => answers.push(readPartition(topic, reader)),
      true,
      // `readPartition` has read them: the leader is one.
      false,
    )
  })
  return answers
}

function readPartition(topic: string, reader: kafka.Reader): ProduceAnswer {
  const partition = reader.readInt32()
  const code = reader.readInt16()
  const baseOffset = Number(reader.readInt64())
  // When the broker appended it, and where its log starts.
  reader.skip(16)
  const refused = reader.readArray(() => {
    reader.skip(4)
    return reader.readNullableString()
  })
  const message = reader.readNullableString()
  const texts = [message, ...refused].filter((text) => text !== null && text !== '')
  let leader: ProduceAnswer['leader']
  for (let tags = reader.readUnsignedVarInt(); tags > 0; tags -= 1) {
    const tag = reader.readUnsignedVarInt()
    const end = reader.position + 1 + reader.peekUnsignedVarInt()
    reader.readUnsignedVarInt()
    if (tag === CURRENT_LEADER_TAG) {
      const nodeId = reader.readInt32()
      const leaderEpoch = reader.readInt32()
      if (nodeId >= 0) leader = { nodeId, leaderEpoch }
    }
    reader.position = end
  }
  return { topic, partition, code, baseOffset, detail: texts.join('; ') || null, leader }
}
