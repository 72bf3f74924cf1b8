/**
 * Carries one member's requests to its group's coordinator in the cluster: Kafka's classic protocol, under the member that
 * `group-member.ts` drives.
 *
 * Invariant: an id that the broker gave to this member is used until the broker refuses it, so a lost connection never leaves
 * a second self behind that the others would wait for.
 *
 * JoinGroup and SyncGroup wait for other members, up to the rebalance timeout: they have a connection of this member's own,
 * because a broker serves a connection one request at a time. Heartbeats have another, and go on meanwhile.
 */

import type {
  GroupTransport,
  JoinAnswer,
  JoinRequest,
  MemberRef,
  Refused,
  SyncAnswer,
  SyncRequest,
} from '../group-protocol.ts'
import { LogError } from '../log.ts'
import type { Cluster } from './cluster.ts'
import {
  ASSIGNOR_NAME,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  PROTOCOL_TYPE,
} from './consumer-protocol.ts'
import { askCoordinator, type CoordinatorCall } from './coordinator-call.ts'
import { CODE, kafkaError, NO_ERROR } from './errors.ts'
import { client } from './client.ts'

const { heartbeatV4, joinGroupV9, leaveGroupV5, syncGroupV5 } = client

/** The answers of a broker that are refusals to the member, not failures of the request. */
const REFUSALS: ReadonlyMap<number, Refused['refused']> = new Map([
  [CODE.illegalGeneration, 'stale-generation'],
  [CODE.unknownMemberId, 'unknown-member'],
  [CODE.rebalanceInProgress, 'rebalancing'],
  [CODE.fencedInstanceId, 'fenced-instance'],
])

/** A broker answers a waiting JoinGroup a little after the rebalance timeout, never much. */
const BARRIER_SLACK_MS = 10_000
/** A broker answers a heartbeat at once: one that is frozen is to be noticed well within a session, however long that is. */
const HEARTBEAT_TIMEOUT_MIN_MS = 1_000
const HEARTBEAT_TIMEOUT_MAX_MS = 3_000
const HEARTBEATS_PER_SESSION = 3
/** Leaving is a courtesy on the way out: nobody waits long for it. */
const LEAVE_TIMEOUT_MS = 2_000
/** Read in the broker's log, beside the member's id. */
const LEAVE_REASON = 'the member is closed'

/** `close` when the member has ended: its connection goes. `leave` still works after it. */
export interface KafkaGroupTransport extends GroupTransport {
  close(): void
}

/** The refusal that a code is, if it is one. */
export function refusalOf(code: number): Refused | undefined {
  const refused = REFUSALS.get(code)
  return refused && { refused }
}

export function groupTransport(
  cluster: Cluster,
  { groupId }: { readonly groupId: string },
): KafkaGroupTransport {
  return new CoordinatorTransport(cluster, groupId)
}

class CoordinatorTransport implements KafkaGroupTransport {
  readonly #cluster: Cluster
  readonly #groupId: string
  readonly #lane: string
  /** What a broker has named this member, before it was told so: the first answer to a join brings only the name. */
  #newMemberId: string = ''
  #barrierTimeoutMs: number = BARRIER_SLACK_MS
  #heartbeatTimeoutMs: number = HEARTBEAT_TIMEOUT_MIN_MS

  constructor(cluster: Cluster, groupId: string) {
    this.#cluster = cluster
    this.#groupId = groupId
    this.#lane = cluster.openLane()
  }

  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = request
    this.#barrierTimeoutMs = rebalanceTimeoutMs + BARRIER_SLACK_MS
    this.#heartbeatTimeoutMs = Math.min(
      HEARTBEAT_TIMEOUT_MAX_MS,
      Math.max(HEARTBEAT_TIMEOUT_MIN_MS, sessionTimeoutMs / HEARTBEATS_PER_SESSION),
    )
    const metadata = encodeSubscription(request)
    for (;;) {
      const memberId = request.memberId === '' ? this.#newMemberId : request.memberId
      const answer = await this.#atBarrier('joining', memberId, request.instanceId, signal, () =>
        this.#ask(
          'joining',
          { purpose: 'join', timeoutMs: this.#barrierTimeoutMs, lane: this.#lane },
          (connection) =>
            joinGroupV9.api.async(
              connection,
              this.#groupId,
              sessionTimeoutMs,
              rebalanceTimeoutMs,
              memberId,
              request.instanceId ?? null,
              PROTOCOL_TYPE,
              [{ name: ASSIGNOR_NAME, metadata }],
              null,
            ),
        ),
      )
      const { errorCode } = answer
      if (errorCode === CODE.memberIdRequired) {
        this.#newMemberId = answer.memberId
        continue
      }
      if (errorCode === CODE.unknownMemberId && memberId === this.#newMemberId) {
        // The name was not used in time, and has been given up.
        this.#newMemberId = ''
      }
      const refused = refusalOf(errorCode)
      if (refused) return refused
      if (errorCode !== NO_ERROR) throw kafkaError(errorCode, this.#where('joining'))
      this.#newMemberId = ''
      // A leader that came back under its instance id finds the assignment made: what it would compute is not asked for.
      const computes = answer.leader === answer.memberId && !answer.skipAssignment
      return {
        memberId: answer.memberId,
        generation: answer.generationId,
        subscriptions: computes
          ? answer.members.map(({ memberId, groupInstanceId, metadata }) => ({
              memberId,
              instanceId: groupInstanceId ?? undefined,
              ...decodeSubscription(metadata),
            }))
          : undefined,
      }
    }
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer> {
    const { memberId, instanceId, generation, assignments } = request
    const encoded = [...(assignments ?? [])].map(([member, assignment]) => ({
      memberId: member,
      assignment: encodeAssignment(assignment, generation),
    }))
    const answer = await this.#atBarrier('syncing', memberId, instanceId, signal, () =>
      this.#ask(
        'syncing',
        { purpose: 'join', timeoutMs: this.#barrierTimeoutMs, lane: this.#lane },
        (connection) =>
          syncGroupV5.api.async(
            connection,
            this.#groupId,
            generation,
            memberId,
            instanceId ?? null,
            PROTOCOL_TYPE,
            ASSIGNOR_NAME,
            encoded,
          ),
      ),
    )
    const refused = refusalOf(answer.errorCode)
    if (refused) return refused
    if (answer.errorCode !== NO_ERROR) throw kafkaError(answer.errorCode, this.#where('syncing'))
    const { partitions, userData } = decodeAssignment(answer.assignment)
    return { partitions, userData }
  }

  async heartbeat({ memberId, instanceId, generation }: MemberRef): Promise<'ok' | Refused> {
    const { errorCode } = await this.#ask(
      'keeping the place',
      { purpose: 'heartbeat', timeoutMs: this.#heartbeatTimeoutMs },
      (connection) =>
        heartbeatV4.api.async(connection, this.#groupId, generation, memberId, instanceId ?? null),
    )
    if (errorCode === NO_ERROR) return 'ok'
    const refused = refusalOf(errorCode)
    if (refused) return refused
    throw kafkaError(errorCode, this.#where('keeping the place'))
  }

  async leave({ memberId, instanceId }: MemberRef): Promise<void> {
    const deadlineMs = this.#cluster.clock.elapsedMs() + LEAVE_TIMEOUT_MS
    const member = { memberId, groupInstanceId: instanceId ?? null, reason: LEAVE_REASON }
    const { errorCode } = await this.#cluster.retrying(deadlineMs, () =>
      this.#ask('leaving', { purpose: 'group', timeoutMs: LEAVE_TIMEOUT_MS }, (connection) =>
        leaveGroupV5.api.async(connection, this.#groupId, [member]),
      ),
    )
    // A member that the group does not know has left already; what is said of single members is only that.
    if (errorCode !== NO_ERROR && !refusalOf(errorCode)) {
      throw kafkaError(errorCode, this.#where('leaving'))
    }
  }

  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#cluster.partitionCounts(topics)
  }

  close(): void {
    this.#cluster.closeLane(this.#lane)
  }

  /** What waits for others ends when the member gives up: by its connection, for a request cannot be taken back. */
  async #atBarrier<T>(
    verb: string,
    memberId: string,
    instanceId: string | undefined,
    signal: AbortSignal,
    ask: () => Promise<T>,
  ): Promise<T> {
    const closed = new LogError('LOG_CLOSED', `${this.#where(verb)}: the member is closed`)
    if (signal.aborted) throw closed
    const onAbort = (): void => this.close()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await ask()
    } catch (error) {
      if (!signal.aborted) throw error
      // Nobody will use this id again, so the others need not wait for it. A static member keeps its place.
      if (memberId !== '' && instanceId === undefined) {
        await this.leave({ memberId, instanceId, generation: -1 }).catch(() => {})
      }
      throw closed
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #ask<T extends { readonly errorCode: number }>(
    verb: string,
    call: Omit<CoordinatorCall, 'groupId' | 'where'>,
    exchange: Parameters<typeof askCoordinator<T>>[2],
  ): Promise<T> {
    const groupId = this.#groupId
    return askCoordinator(
      this.#cluster,
      { groupId, where: this.#where(verb), ...call },
      exchange,
      ({ errorCode }) => errorCode,
    )
  }

  #where(verb: string): string {
    return `${verb} in group ${this.#groupId}`
  }
}
