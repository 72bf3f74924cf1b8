/**
 * What a group member and its coordinator say to each other: Kafka's classic JoinGroup, SyncGroup, Heartbeat and LeaveGroup
 * as values, whatever carries them.
 *
 * Invariant: a refusal is an answer, not an error; what throws did not reach the coordinator, and may be tried again if
 * the error says so.
 */
import type { MemberAssignment, MemberSubscription, TopicPartition } from './log.ts'

/**
 * `unknown-member`: expelled, or never there. `stale-generation`: the group went on without it. `fenced-instance`: another
 * member holds its instance id. `rebalancing`: a new generation is being made.
 */
export interface Refused {
  readonly refused: 'unknown-member' | 'stale-generation' | 'fenced-instance' | 'rebalancing'
}

export interface MemberRef {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly generation: number
}

export interface JoinRequest {
  /** Empty the first time: the answer brings one. */
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly userData: Uint8Array
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

export type JoinAnswer =
  | {
      readonly memberId: string
      readonly generation: number
      /** Everybody's, for the leader that has to compute the assignment; undefined for all others. */
      readonly subscriptions: readonly MemberSubscription[] | undefined
    }
  | Refused

export interface SyncRequest extends MemberRef {
  /** The leader's, by member id. */
  readonly assignments: ReadonlyMap<string, MemberAssignment> | undefined
}

export type SyncAnswer =
  { readonly partitions: readonly TopicPartition[]; readonly userData: Uint8Array } | Refused

/** Carries one member's requests to the coordinator of its group. */
export interface GroupTransport {
  /** Answers when the barrier has been passed. An aborted signal rejects with LOG_CLOSED. */
  join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer>
  /** Answers when the leader has assigned. An aborted signal rejects with LOG_CLOSED. */
  sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer>
  heartbeat(ref: MemberRef): Promise<'ok' | Refused>
  leave(ref: MemberRef): Promise<void>
  /** For the leader: topics that do not exist are absent. */
  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>>
}
