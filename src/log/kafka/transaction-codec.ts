/**
 * The requests of a transaction, in the versions that the two versions of the protocol take. Answers carry their error codes as
 * data: which of them ends a transaction is for `transaction-errors.ts` to say.
 *
 *                          version 1                     version 2 (KIP-890)
 *     InitProducerId       v5                            v5
 *     AddPartitionsToTxn   v3 (v4 is the brokers' own)   – (Produce v12 does it)
 *     AddOffsetsToTxn      v4                            – (TxnOffsetCommit v5 does it)
 *     TxnOffsetCommit      v4                            v5
 *     EndTxn               v4                            v5, whose answer has the next producer id and epoch
 *
 * Invariant: the requests of one column are never mixed with those of the other.
 */
import type * as kafka from '@platformatic/kafka'

import type { OffsetCommit, TopicPartition } from '../log.ts'
import { client } from './client.ts'

const { createAPI, Writer } = client

/** Who writes: an id that a coordinator gave, and which of the writers with this id. */
export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}

/** No producer: what InitProducerId is asked with by who has none, and what it answers together with an error. */
export const NO_PRODUCER: ProducerIdentity = { producerId: -1, epoch: -1 }

export interface IdentityAnswer extends ProducerIdentity {
  readonly code: number
}

export interface PartitionCode extends TopicPartition {
  readonly code: number
}

export interface InitRequest {
  readonly transactionalId: string | null
  readonly timeoutMs: number
  readonly current: ProducerIdentity
}

export interface TransactionRequest extends ProducerIdentity {
  readonly transactionalId: string
}

/** Who commits offsets: a member as it was when the offsets were sealed, or nobody (generation −1, no name). */
export interface TxnOffsetsRequest extends TransactionRequest {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
  readonly offsets: readonly OffsetCommit[]
}

export const initProducerId: kafka.API<[InitRequest], IdentityAnswer> = createAPI(
  22,
  5,
  ({ transactionalId, timeoutMs, current }: InitRequest) =>
    Writer.create()
      .appendString(transactionalId)
      .appendInt32(timeoutMs)
      .appendInt64(BigInt(current.producerId))
      .appendInt16(current.epoch)
      .appendTaggedFields(),
  (_correlationId, _key, _version, reader) => ({ code: readCode(reader), ...readIdentity(reader) }),
)

export const addPartitionsToTxn: kafka.API<
  [TransactionRequest & { readonly partitions: readonly TopicPartition[] }],
  readonly PartitionCode[]
> = createAPI(
  24,
  3,
  (request: TransactionRequest & { readonly partitions: readonly TopicPartition[] }) =>
    writeTransaction(request)
      .appendArray(
        [...Map.groupBy(request.partitions, ({ topic }) => topic)],
        (writer, [topic, partitions]) => {
          writer.appendString(topic)
          writer.appendArray(
            partitions,
            (each, { partition }) => each.appendInt32(partition),
            true,
            false,
          )
        },
      )
      .appendTaggedFields(),
  readPartitionCodes,
)

export const addOffsetsToTxn: kafka.API<
  [TransactionRequest & { readonly groupId: string }],
  number
> = createAPI(
  25,
  4,
  (request: TransactionRequest & { readonly groupId: string }) =>
    writeTransaction(request).appendString(request.groupId).appendTaggedFields(),
  (_correlationId, _key, _version, reader) => readCode(reader),
)

export type TxnOffsetCommitApi = kafka.API<[TxnOffsetsRequest], readonly PartitionCode[]>
export const txnOffsetCommitV4: TxnOffsetCommitApi = createAPI(
  28,
  4,
  writeTxnOffsets,
  readPartitionCodes,
)
export const txnOffsetCommitV5: TxnOffsetCommitApi = createAPI(
  28,
  5,
  writeTxnOffsets,
  readPartitionCodes,
)

export interface EndRequest extends TransactionRequest {
  readonly commits: boolean
}

/** Version 1 has no identity to give: the one that was used goes on. */
export const endTxnV4: kafka.API<[EndRequest], IdentityAnswer> = createAPI(
  26,
  4,
  writeEnd,
  (_correlationId, _key, _version, reader) => ({ code: readCode(reader), ...NO_PRODUCER }),
)
export const endTxnV5: kafka.API<[EndRequest], IdentityAnswer> = createAPI(
  26,
  5,
  writeEnd,
  (_correlationId, _key, _version, reader) => ({ code: readCode(reader), ...readIdentity(reader) }),
)

function writeTransaction({
  transactionalId,
  producerId,
  epoch,
}: TransactionRequest): kafka.Writer {
  return Writer.create()
    .appendString(transactionalId)
    .appendInt64(BigInt(producerId))
    .appendInt16(epoch)
}

function writeEnd(request: EndRequest): kafka.Writer {
  return writeTransaction(request).appendBoolean(request.commits).appendTaggedFields()
}

function writeTxnOffsets(request: TxnOffsetsRequest): kafka.Writer {
  return Writer.create()
    .appendString(request.transactionalId)
    .appendString(request.groupId)
    .appendInt64(BigInt(request.producerId))
    .appendInt16(request.epoch)
    .appendInt32(request.generation)
    .appendString(request.memberId)
    .appendString(request.instanceId)
    .appendArray(
      [...Map.groupBy(request.offsets, ({ topic }) => topic)],
      (writer, [topic, offsets]) => {
        writer.appendString(topic).appendArray(offsets, (each, { partition, offset, metadata }) => {
          each.appendInt32(partition).appendInt64(BigInt(offset))
          // The leader epoch under which it was read is not kept.
          each.appendInt32(-1).appendString(metadata)
        })
      },
    )
    .appendTaggedFields()
}

/** Every answer starts with how long the broker makes the client wait; then, where it has one for all, its code. */
function readCode(reader: kafka.Reader): number {
  reader.skip(4)
  return reader.readInt16()
}

function readIdentity(reader: kafka.Reader): ProducerIdentity {
  return { producerId: Number(reader.readInt64()), epoch: reader.readInt16() }
}

function readPartitionCodes(
  _correlationId: number,
  _key: number,
  _version: number,
  reader: kafka.Reader,
): readonly PartitionCode[] {
  reader.skip(4)
  const codes: PartitionCode[] = []
  reader.readArray(() => {
    const topic = reader.readString()
    reader.readArray(() => {
      codes.push({ topic, partition: reader.readInt32(), code: reader.readInt16() })
    })
  })
  return codes
}
