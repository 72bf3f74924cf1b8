/**
 * Reaches a coordinator that runs in this process or in this machine's file: the state machine of `membership.ts` behind the
 * requests of `group-protocol.ts`.
 *
 * Invariant: every answer comes from a state that `update` has kept.
 */
import type { GroupTransport, JoinAnswer, SyncAnswer } from './group-protocol.ts'
import { LogError } from './log.ts'
import {
  advance,
  type GroupState,
  heartbeat,
  joinGroup,
  joinOutcome,
  leaveGroup,
  type Step,
  syncGroup,
} from './membership.ts'

/** What a log does for its groups. */
export interface GroupHost {
  /** Runs `step` on the group's state (EMPTY_GROUP if it is new) and keeps the state it returns, in one atomic step. */
  update<T>(groupId: string, step: (group: GroupState, nowMs: number) => Step<T>): Promise<T>
  /**
   * Resolves when the group's state may have changed after this call, or `advance` would change it; also when the signal
   * aborts. It may resolve early: whoever waits looks again.
   */
  changed(groupId: string, signal: AbortSignal): Promise<void>
  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>>
  newMemberId(): string
}

export function hostedTransport(host: GroupHost, groupId: string): GroupTransport {
  async function untilAnswered<T>(
    ask: () => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      if (signal.aborted) throw new LogError('LOG_CLOSED', `the member of ${groupId} is closed`)
      // Listened for before it is asked, or a change in between would be missed.
      const change = host.changed(groupId, signal)
      const answer = await ask()
      if (answer !== undefined) return answer
      await change
    }
  }

  return {
    async join(request, signal) {
      const entered = await host.update(groupId, (group, nowMs) =>
        joinGroup(group, request, host.newMemberId(), nowMs),
      )
      if ('refused' in entered) return entered
      const { memberId } = entered
      const { instanceId } = request
      const look = (): Promise<JoinAnswer | undefined> =>
        host.update(groupId, (group, nowMs) => {
          const advanced = advance(group, nowMs)
          return { group: advanced, answer: joinOutcome(advanced, { memberId, instanceId }) }
        })
      try {
        return await untilAnswered(look, signal)
      } catch (error) {
        // Nobody will ever use this id again, so the others need not wait for it. A static member keeps its place.
        if (signal.aborted && instanceId === undefined) {
          await host.update(groupId, (group, nowMs) =>
            leaveGroup(group, { memberId, instanceId }, nowMs),
          )
        }
        throw error
      }
    },
    sync: (request, signal) =>
      untilAnswered<SyncAnswer>(
        () => host.update(groupId, (group, nowMs) => syncGroup(group, request, nowMs)),
        signal,
      ),
    heartbeat: (ref) => host.update(groupId, (group, nowMs) => heartbeat(group, ref, nowMs)),
    async leave(ref) {
      await host.update(groupId, (group, nowMs) => leaveGroup(group, ref, nowMs))
    },
    partitionCounts: (topics) => host.partitionCounts(topics),
  }
}
