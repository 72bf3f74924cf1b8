/**
 * Which groups there are and who reads what in them: ours, and those of other consumers.
 *
 * Invariant: a group that does not exist is absent; one whose coordinator does not answer is an error, never absent.
 */
import type * as kafka from '@platformatic/kafka'

import type { GroupDescription } from '../log.ts'
import { ANY_BROKER, type Cluster } from './cluster.ts'
import {
  ASSIGNOR_NAME,
  decodeAssignment,
  decodeForeignAssignment,
  decodeSubscription,
  PROTOCOL_TYPE,
} from './consumer-protocol.ts'
import { askCoordinator } from './coordinator-call.ts'
import { answerOf, CODE, kafkaError, NO_ERROR } from './errors.ts'
import { client } from './client.ts'

const { consumerGroupDescribeV0, describeGroupsV5, listGroupsV5, metadataV12 } = client

const REQUEST_TIMEOUT_MS = 10_000
const DEADLINE_MS = 20_000
/** Kafka's word for a group that is not there, or is of another kind. */
const DEAD = 'Dead'
/** What the log contract says where the group's own generation is told to nobody outside of it. */
const UNKNOWN_GENERATION = -1

type ClassicGroup = kafka.describeGroupsV5.DescribeGroupsResponseGroup
type ConsumerGroup = kafka.consumerGroupDescribeV0.ConsumerGroupDescribeResponseGroup

export async function describeGroups(
  cluster: Cluster,
  groupIds?: readonly string[],
): Promise<readonly GroupDescription[]> {
  const names = groupIds ?? (await listGroups(cluster))
  const deadlineMs = cluster.clock.elapsedMs() + DEADLINE_MS
  const described: GroupDescription[] = []
  for (const groupId of names) {
    const group = await cluster.retrying(deadlineMs, () => describeGroup(cluster, groupId))
    if (group) described.push(group)
  }
  return described
}

/** Of every broker: each knows the groups that it coordinates. */
async function listGroups(cluster: Cluster): Promise<readonly string[]> {
  const deadlineMs = cluster.clock.elapsedMs() + DEADLINE_MS
  return cluster.retrying(deadlineMs, async () => {
    const { brokers } = await cluster.call(ANY_BROKER, 'admin', REQUEST_TIMEOUT_MS, (connection) =>
      answerOf(metadataV12.api.async(connection, [], false, false)),
    )
    const lists = await Promise.all(
      brokers.map(async ({ nodeId }) => {
        const answer = await cluster.call(nodeId, 'admin', REQUEST_TIMEOUT_MS, (connection) =>
          answerOf(listGroupsV5.api.async(connection, [], [])),
        )
        if (answer.errorCode !== NO_ERROR) throw kafkaError(answer.errorCode, 'listing groups')
        // A group that has offsets but never had a member has no type. Connect's and share groups read no partitions.
        return answer.groups.filter(({ protocolType }) =>
          ['', PROTOCOL_TYPE].includes(protocolType),
        )
      }),
    )
    return lists.flat().map(({ groupId }) => groupId)
  })
}

async function describeGroup(
  cluster: Cluster,
  groupId: string,
): Promise<GroupDescription | undefined> {
  const where = `describing group ${groupId}`
  const call = { groupId, where, purpose: 'group', timeoutMs: REQUEST_TIMEOUT_MS } as const
  const { groups } = await askCoordinator(
    cluster,
    call,
    (connection) => describeGroupsV5.api.async(connection, [groupId], false),
    ({ groups: [group] }) => group?.errorCode ?? NO_ERROR,
  )
  const [classic] = groups
  if (!classic) return undefined
  if (classic.errorCode === NO_ERROR && classic.groupState !== DEAD) return ofClassic(classic)
  if (classic.errorCode !== NO_ERROR && classic.errorCode !== CODE.groupIdNotFound) {
    throw kafkaError(classic.errorCode, where)
  }
  // Asked by name only where it is known to exist: brokers before 4.0 need not know the request.
  const listed = await askCoordinator(
    cluster,
    call,
    (connection) => listGroupsV5.api.async(connection, [], ['consumer']),
    ({ errorCode }) => errorCode,
  )
  if (!listed.groups.some((group) => group.groupId === groupId)) return undefined
  const { groups: consumers } = await askCoordinator(
    cluster,
    call,
    (connection) => consumerGroupDescribeV0.api.async(connection, [groupId], false),
    ({ groups: [group] }) => group?.errorCode ?? NO_ERROR,
  )
  const [consumer] = consumers
  if (!consumer || consumer.errorCode === CODE.groupIdNotFound) return undefined
  if (consumer.errorCode !== NO_ERROR) throw kafkaError(consumer.errorCode, where)
  return ofConsumer(consumer)
}

/** A group of the classic protocol: ours, or of consumers that have an assignor of their own. */
function ofClassic(group: ClassicGroup): GroupDescription {
  const isOurs = group.protocolData === ASSIGNOR_NAME
  let generation = UNKNOWN_GENERATION
  const members = group.members.map((member) => {
    let { partitions } = decodeForeignAssignment(member.memberAssignment)
    if (isOurs) {
      const assigned = decodeAssignment(member.memberAssignment)
      partitions = assigned.partitions
      generation = Math.max(generation, assigned.generation ?? UNKNOWN_GENERATION)
    }
    return {
      memberId: member.memberId,
      instanceId: member.groupInstanceId ?? undefined,
      partitions,
      userData: decodeSubscription(member.memberMetadata).userData,
    }
  })
  return { groupId: group.groupId, generation, state: stateOf(group.groupState), members }
}

/** A group of the newer protocol, in which the broker assigns: it has no user data. */
function ofConsumer(group: ConsumerGroup): GroupDescription {
  return {
    groupId: group.groupId,
    generation: group.groupEpoch,
    state: stateOf(group.groupState),
    members: group.members.map(({ memberId, instanceId, assignment }) => ({
      memberId,
      instanceId: instanceId ?? undefined,
      partitions: assignment.topicPartitions.flatMap(({ topicName: topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      ),
      userData: new Uint8Array(),
    })),
  }
}

/** Everything between two generations is a rebalance, whatever Kafka calls the step. */
function stateOf(state: string): GroupDescription['state'] {
  if (state === 'Empty') return 'empty'
  return state === 'Stable' ? 'stable' : 'rebalancing'
}
