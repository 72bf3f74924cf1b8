/**
 * Carries a member's requests to the coordinator in the log file: what changes the group is a write, what waits for others
 * reads the row again whenever something was written.
 *
 * Invariant: a member that waits sees every deadline pass, also when nobody else is there to see it.
 */
import type { Random } from '#system'

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
import { type GroupState, joinOutcome, nextDeadlineMs, syncGroup } from '../membership.ts'
import type { GroupRows } from './group-rows.ts'
import type { ReadHandle } from './read-handle.ts'
import type { WriteChannel } from './write-channel.ts'

export class SqliteGroupTransport implements GroupTransport {
  readonly #groupId: string
  readonly #handle: ReadHandle
  readonly #rows: GroupRows
  readonly #channel: WriteChannel
  readonly #random: Random

  constructor(
    groupId: string,
    options: {
      readonly handle: ReadHandle
      readonly rows: GroupRows
      readonly channel: WriteChannel
      readonly random: Random
    },
  ) {
    this.#groupId = groupId
    this.#handle = options.handle
    this.#rows = options.rows
    this.#channel = options.channel
    this.#random = options.random
  }

  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    const newMemberId = this.#random.uuid()
    const groupId = this.#groupId
    const joined = await this.#channel.ask('join-group', { groupId, request, newMemberId })
    if ('refused' in joined) return joined
    const { memberId } = joined
    const ref = { memberId, instanceId: request.instanceId }
    try {
      return await this.#await(signal, (group) => joinOutcome(group, ref))
    } catch (error) {
      // Nobody will ever use this id again, so the others need not wait for it. A static member keeps its place.
      if (signal.aborted && request.instanceId === undefined) {
        await this.leave({ memberId, instanceId: undefined, generation: -1 })
      }
      throw error
    }
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer> {
    const groupId = this.#groupId
    const answer = await this.#channel.ask('sync-group', { groupId, request })
    if (answer !== undefined) return answer
    return this.#await(signal, (group, nowMs) => syncGroup(group, request, nowMs).answer)
  }

  heartbeat(ref: MemberRef): Promise<'ok' | Refused> {
    return this.#channel.ask('heartbeat', { groupId: this.#groupId, ref })
  }

  async leave(ref: MemberRef): Promise<void> {
    await this.#channel.ask('leave-group', { groupId: this.#groupId, ref })
  }

  async partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#handle.readSoon(() => {
      const found = topics.map((name) => this.#handle.catalog.topic(name))
      return new Map(
        found
          .filter((topic) => topic !== undefined)
          .map(({ topic, partitions }) => [topic, partitions]),
      )
    })
  }

  async #await<T>(
    signal: AbortSignal,
    look: (group: GroupState, nowMs: number) => T | undefined,
  ): Promise<T> {
    while (true) {
      if (signal.aborted) throw new LogError('LOG_CLOSED', 'the member is closed')
      const nowMs = this.#handle.clock.nowMs()
      const { group, seen } = await this.#handle.readSoon((version) => {
        return { group: this.#rows.read(this.#groupId, nowMs), seen: version }
      })
      const answer = look(group, nowMs)
      if (answer !== undefined) return answer
      const waitMs = nextDeadlineMs(group) - nowMs
      if (waitMs <= 0) await this.#channel.ask('advance-group', { groupId: this.#groupId })
      else await this.#changed(seen, waitMs, signal)
    }
  }

  /** Resolves when something may have been written, the time is over, or the member gives up. */
  #changed(seen: number, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelWait()
        cancelTimer()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancelWait = this.#handle.signal.wait(seen, end)
      const cancelTimer =
        waitMs === Number.POSITIVE_INFINITY ? () => {} : this.#handle.clock.after(waitMs, end)
      signal.addEventListener('abort', end, { once: true })
    })
  }
}
