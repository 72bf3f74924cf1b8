/**
 * Where a partition begins and ends, by time and by leader epoch, as its leader says; and moving its beginning.
 *
 * Invariant: every answer comes from the broker that led the partition when it was given.
 */
import type { Connection } from '@platformatic/kafka'

import type { Isolation, TopicPartition } from '../log.ts'
import type { Cluster, PartitionLeader } from './cluster.ts'
import { answerOf, CODE, isStaleLeader, kafkaError, NO_ERROR } from './errors.ts'
import { client } from './client.ts'

const { deleteRecordsV2, listOffsetsV7, offsetForLeaderEpochV4 } = client

const REQUEST_TIMEOUT_MS = 10_000
/** How long a partition may be without a leader before the caller hears of it. */
const PATIENCE_MS = 30_000
const CONSUMER = -1
const UNKNOWN_EPOCH = -1
const LATEST = -1n
const EARLIEST = -2n
const ISOLATION: Readonly<Record<Isolation, number>> = {
  'read-uncommitted': 0,
  'read-committed': 1,
}

export async function earliestOffset(cluster: Cluster, place: TopicPartition): Promise<number> {
  const { offset } = await listOffset(cluster, place, EARLIEST, 'read-uncommitted')
  return offset
}

export async function endOffset(
  cluster: Cluster,
  place: TopicPartition,
  isolation: Isolation,
): Promise<number> {
  const { offset } = await listOffset(cluster, place, LATEST, isolation)
  return offset
}

export async function offsetForTimestamp(
  cluster: Cluster,
  place: TopicPartition,
  timestampMs: number,
): Promise<number | undefined> {
  const timestamp = BigInt(Math.max(0, timestampMs))
  const { offset } = await listOffset(cluster, place, timestamp, 'read-uncommitted')
  return offset === -1 ? undefined : offset
}

/** The epoch in force: what is remembered, if the leader agrees that it is. */
export function leaderEpoch(cluster: Cluster, place: TopicPartition): Promise<number> {
  return onLeader(cluster, place, 'asking for the leader epoch of', async (connection, leader) => {
    const { errorCode } = await askEpoch(connection, place, leader, leader.leaderEpoch)
    return { errorCode, answer: leader.leaderEpoch }
  })
}

/**
 * Where the records of `epoch` end. An epoch without records ends where the next one began; one that is still to come is
 * undefined.
 */
export function endOffsetOfEpoch(
  cluster: Cluster,
  place: TopicPartition,
  epoch: number,
): Promise<number | undefined> {
  return onLeader(cluster, place, 'asking for a leader epoch of', async (connection, leader) => {
    const { errorCode, endOffset } = await askEpoch(connection, place, leader, epoch)
    return { errorCode, answer: endOffset < 0n ? undefined : Number(endOffset) }
  })
}

export async function deleteRecords(
  cluster: Cluster,
  place: TopicPartition,
  offset: number,
): Promise<void> {
  const { topic, partition } = place
  const partitions = [{ partitionIndex: partition, offset: BigInt(offset) }]
  await onLeader(cluster, { ...place, offset }, 'deleting records of', async (connection) => {
    const { topics } = await answerOf(
      deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], REQUEST_TIMEOUT_MS),
    )
    return { errorCode: topics[0]?.partitions[0]?.errorCode ?? CODE.requestTimedOut, answer: null }
  })
}

interface Answered<T> {
  readonly errorCode: number
  readonly answer: T
}

/** Asks a partition's leader until it answers without an error that passes. */
function onLeader<T>(
  cluster: Cluster,
  place: TopicPartition & { readonly offset?: number },
  doing: string,
  exchange: (connection: Connection, leader: PartitionLeader) => Promise<Answered<T>>,
): Promise<T> {
  const { topic, partition } = place
  return cluster.retrying(cluster.clock.elapsedMs() + PATIENCE_MS, async () => {
    const leader = await cluster.leader(place)
    const asked = cluster.call(leader.nodeId, 'admin', REQUEST_TIMEOUT_MS, (connection) =>
      exchange(connection, leader),
    )
    const { errorCode, answer } = await asked.catch(async (error: unknown) => {
      // A broker that is gone may lead no more.
      await cluster.refresh([topic])
      throw error
    })
    if (errorCode === NO_ERROR) return answer
    if (isStaleLeader(errorCode)) await cluster.refresh([topic])
    throw kafkaError(errorCode, `${doing} ${topic}-${partition}`, { at: place })
  })
}

async function askEpoch(
  connection: Connection,
  { topic, partition }: TopicPartition,
  { leaderEpoch: currentLeaderEpoch }: PartitionLeader,
  epoch: number,
): Promise<{ readonly errorCode: number; readonly endOffset: bigint }> {
  const partitions = [{ partitionIndex: partition, currentLeaderEpoch, leaderEpoch: epoch }]
  const { topics } = await answerOf(
    offsetForLeaderEpochV4.api.async(connection, CONSUMER, [{ name: topic, partitions }]),
  )
  const answered = topics[0]?.partitions[0]
  return answered ?? { errorCode: CODE.requestTimedOut, endOffset: -1n }
}

function listOffset(
  cluster: Cluster,
  place: TopicPartition,
  timestamp: bigint,
  isolation: Isolation,
): Promise<{ readonly offset: number }> {
  const { topic, partition } = place
  const partitions = [{ partitionIndex: partition, currentLeaderEpoch: UNKNOWN_EPOCH, timestamp }]
  return onLeader(cluster, place, 'asking for an offset of', async (connection) => {
    const { topics } = await answerOf(
      listOffsetsV7.api.async(connection, CONSUMER, ISOLATION[isolation], [
        { name: topic, partitions },
      ]),
    )
    const answered = topics[0]?.partitions[0]
    const errorCode = answered?.errorCode ?? CODE.requestTimedOut
    return { errorCode, answer: { offset: Number(answered?.offset ?? -1n) } }
  })
}
