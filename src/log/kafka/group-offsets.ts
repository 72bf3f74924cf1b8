/**
 * What groups have committed, read and written at their coordinator.
 *
 * Invariant: unless it is asked for without, an offset that is read is stable: what an open transaction may still change is
 * waited for (R3).
 */
import type * as kafka from '@platformatic/kafka'

import {
  type CommittedOffset,
  LogError,
  type MemberIdentity,
  type OffsetCommit,
  type OffsetsOptions,
  partitionKey,
  type TopicPartition,
} from '../log.ts'
import type { Cluster } from './cluster.ts'
import { askCoordinator } from './coordinator-call.ts'
import { refusalOf } from './coordinator.ts'
import { CODE, kafkaError, NO_ERROR } from './errors.ts'
import { client } from './client.ts'

const { offsetCommitV9, offsetFetchV9 } = client

const REQUEST_TIMEOUT_MS = 10_000
/** A writer that died inside a transaction holds offsets back until its time-out and the broker's check, 10 s each. */
const STABLE_DEADLINE_MS = 60_000
const OUTSIDE_GENERATION = -1
const UNKNOWN_LEADER_EPOCH = -1

/** A partition without a committed offset is absent. LOG_UNAVAILABLE, retriable, when a transaction does not end. */
export async function committedOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[],
  { requireStable = true }: OffsetsOptions = {},
): Promise<ReadonlyMap<string, CommittedOffset>> {
  const committed = new Map<string, CommittedOffset>()
  if (partitions.length === 0) return committed
  const deadlineMs = cluster.clock.elapsedMs() + STABLE_DEADLINE_MS
  const where = `reading the offsets of group ${groupId}`
  let open = partitions
  await cluster.retrying(deadlineMs, async () => {
    const topics = [...Map.groupBy(open, ({ topic }) => topic)].map(([name, places]) => ({
      name,
      partitionIndexes: places.map(({ partition }) => partition),
    }))
    const group = { groupId, memberId: null, memberEpoch: -1, topics }
    const answer = await askCoordinator(
      cluster,
      { groupId, where, purpose: 'group', timeoutMs: REQUEST_TIMEOUT_MS },
      (connection) => offsetFetchV9.api.async(connection, [group], requireStable),
      ({ groups: [answered] }) => answered?.errorCode ?? NO_ERROR,
    )
    const [answered] = answer.groups
    if (!answered) throw new LogError('LOG_UNAVAILABLE', `${where}: the answer is empty`)
    if (answered.errorCode !== NO_ERROR) throw kafkaError(answered.errorCode, where)
    const pending: TopicPartition[] = []
    for (const { name: topic, partitions } of answered.topics) {
      for (const {
        partitionIndex: partition,
        committedOffset,
        metadata,
        errorCode,
      } of partitions) {
        const at = { topic, partition }
        if (errorCode === CODE.unstableOffsetCommit) pending.push(at)
        // A topic that does not exist has no offsets.
        else if (errorCode === CODE.unknownTopicOrPartition) continue
        else if (errorCode !== NO_ERROR) throw kafkaError(errorCode, where, { at })
        else if (committedOffset >= 0n) {
          const offset = Number(committedOffset)
          committed.set(partitionKey(at), { offset, metadata: metadata ?? '' })
        }
      }
    }
    open = pending
    const [first] = pending
    if (first) {
      const message = `${where}: a transaction over ${partitionKey(first)} has not ended`
      throw new LogError('LOG_UNAVAILABLE', message, { retriable: true, at: first })
    }
  })
  return committed
}

/**
 * Commits outside of transactions. `member` undefined is somebody outside of the group, which works only while it has no
 * member; LOG_FENCED says that it was refused. It may be repeated until the deadline: the last of equal commits counts.
 */
export async function commitOffsets(
  cluster: Cluster,
  groupId: string,
  member: MemberIdentity | undefined,
  offsets: readonly OffsetCommit[],
  deadlineMs: number,
): Promise<void> {
  if (offsets.length === 0) return
  const where = `committing offsets of group ${groupId}`
  const topics = [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, commits]) => ({
    name,
    partitions: commits.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: UNKNOWN_LEADER_EPOCH,
      committedMetadata: metadata,
    })),
  }))
  const firstCode = (answer: Answer): number => firstError(answer)?.code ?? NO_ERROR
  await cluster.retrying(deadlineMs, async () => {
    const answer = await askCoordinator(
      cluster,
      { groupId, where, purpose: 'group', timeoutMs: REQUEST_TIMEOUT_MS },
      (connection) =>
        offsetCommitV9.api.async(
          connection,
          groupId,
          member?.generation ?? OUTSIDE_GENERATION,
          member?.memberId ?? '',
          member?.instanceId ?? null,
          topics,
        ),
      firstCode,
    )
    const failed = firstError(answer)
    if (!failed) return
    const { code, at } = failed
    const refused = refusalOf(code)
    if (!refused) throw kafkaError(code, where, { at })
    const who = member ? `generation ${member.generation}` : 'somebody outside of the group'
    throw new LogError('LOG_FENCED', `${who} cannot commit for ${groupId}: ${refused.refused}`)
  })
}

type Answer = kafka.offsetCommitV9.OffsetCommitResponse

function firstError(
  answer: Answer,
): { readonly code: number; readonly at: TopicPartition } | undefined {
  for (const { name: topic, partitions } of answer.topics) {
    for (const { partitionIndex: partition, errorCode: code } of partitions) {
      if (code !== NO_ERROR) return { code, at: { topic, partition } }
    }
  }
  return undefined
}
