/**
 * What members of a classic group tell their leader and hear from it, in the bytes that Kafka's consumers use, so that its own
 * tools can show who reads what.
 *
 * Invariant: bytes of somebody else decode to what can be read in them, never to an error: a stranger must not stop a group.
 *
 * A subscription:  version int16 = 0 | [topic] | user data
 * An assignment:   version int16 = 0 | [topic [partition]] | user data, which is the generation int32 | the assignor's bytes
 *
 * The broker tells a group's generation to nobody outside of it: ours is in the assignment because whoever describes the group
 * has no other way to learn it.
 */
import { Buffer } from 'node:buffer'

import type { MemberAssignment, MemberSubscription, TopicPartition } from '../log.ts'
import { client } from './client.ts'

const {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
} = client

/** The protocol type of everything that reads topics by groups: tools know the format by it. */
export const PROTOCOL_TYPE = 'consumer'
/** Our assignor's name. A member that does not offer it cannot join a group of ours. */
export const ASSIGNOR_NAME = 'millrace'

const VERSION = 0
const GENERATION_BYTES = 4
const NO_BYTES = new Uint8Array()

export type Subscription = Pick<MemberSubscription, 'topics' | 'userData'>

export interface DescribedAssignment extends MemberAssignment {
  /** Undefined in bytes that our leader has not made. */
  readonly generation: number | undefined
}

export function encodeSubscription({ topics, userData }: Subscription): Buffer {
  return encodeConsumerProtocolSubscription({
    version: VERSION,
    topics: [...topics],
    userData: Buffer.from(userData),
  })
}

export function decodeSubscription(bytes: Buffer): Subscription {
  try {
    const { topics, userData } = decodeConsumerProtocolSubscription(bytes)
    return { topics, userData: Uint8Array.from(userData) }
  } catch {
    return { topics: [], userData: NO_BYTES }
  }
}

export function encodeAssignment(assignment: MemberAssignment, generation: number): Buffer {
  const byTopic = Map.groupBy(assignment.partitions, ({ topic }) => topic)
  const userData = Buffer.alloc(GENERATION_BYTES + assignment.userData.byteLength)
  userData.writeInt32BE(generation)
  userData.set(assignment.userData, GENERATION_BYTES)
  return encodeConsumerProtocolAssignment({
    version: VERSION,
    assignedPartitions: [...byTopic].map(([topic, places]) => ({
      topic,
      partitions: places.map(({ partition }) => partition),
    })),
    userData,
  })
}

/** An assignment of our leader. No bytes at all are a member that the leader left out. */
export function decodeAssignment(bytes: Buffer): DescribedAssignment {
  const { partitions, userData } = decodeForeignAssignment(bytes)
  if (userData.byteLength < GENERATION_BYTES) {
    return { partitions, userData: NO_BYTES, generation: undefined }
  }
  const view = new DataView(userData.buffer, userData.byteOffset)
  return { partitions, userData: userData.slice(GENERATION_BYTES), generation: view.getInt32(0) }
}

/** An assignment of whatever consumer: its user data is not ours to understand. */
export function decodeForeignAssignment(bytes: Buffer): MemberAssignment {
  try {
    const { assignedPartitions, userData } = decodeConsumerProtocolAssignment(bytes)
    const partitions = assignedPartitions.flatMap(({ topic, partitions }): TopicPartition[] =>
      partitions.map((partition) => ({ topic, partition })),
    )
    return { partitions, userData: Uint8Array.from(userData) }
  } catch {
    return { partitions: [], userData: NO_BYTES }
  }
}
