/**
 * Makes another broker lead a partition, by taking the one that leads it from its replicas.
 *
 * Invariant: resolves when a leader of a later epoch is known to every broker.
 */
import { alterPartitionReassignmentsV0, metadataV12 } from '@platformatic/kafka'

import { ANY_BROKER, type Cluster } from '../kafka/cluster.ts'
import { answerOf } from '../kafka/errors.ts'
import type { TopicPartition } from '../log.ts'

const TIMEOUT_MS = 30_000

export async function moveLeader(cluster: Cluster, place: TopicPartition): Promise<void> {
  const before = await placedAt(cluster, ANY_BROKER, place)
  const replicas = before.replicaNodes.filter((nodeId) => nodeId !== before.leaderId)
  const partitions = [{ partitionIndex: place.partition, replicas }]
  await cluster.call(ANY_BROKER, 'admin', TIMEOUT_MS, (connection) =>
    alterPartitionReassignmentsV0.api.async(connection, TIMEOUT_MS, true, [
      { name: place.topic, partitions },
    ]),
  )
  for (const nodeId of before.replicaNodes) {
    for (;;) {
      const now = await placedAt(cluster, nodeId, place)
      if (now.leaderId !== before.leaderId && now.leaderEpoch > before.leaderEpoch) break
      await Bun.sleep(50)
    }
  }
}

async function placedAt(
  cluster: Cluster,
  nodeId: number,
  { topic, partition }: TopicPartition,
): Promise<metadataV12.MetadataResponsePartition> {
  const { topics } = await cluster.call(nodeId, 'admin', TIMEOUT_MS, (connection) =>
    answerOf(metadataV12.api.async(connection, [topic], false, false)),
  )
  const found = topics[0]?.partitions.find(({ partitionIndex }) => partitionIndex === partition)
  if (found === undefined) throw new Error(`broker ${nodeId} knows no ${topic}-${partition}`)
  return found
}
