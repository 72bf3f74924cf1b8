/**
 * A member of a group, on whatever transport: it joins, syncs, sends heartbeats, asks its owner to finish before a
 * rebalance, and says what it now holds.
 *
 * Invariant: an assignment replaces the one held only if its generation is the same or the next one. Whoever missed a
 * generation is told `lost` first: somebody else may have held its partitions in between.
 */
import { type Clock, jitteredBackoffMs, type Random } from '#system'

import type { GroupTransport, Refused } from './group-protocol.ts'
import {
  type Assignment,
  type GroupMember,
  type JoinOptions,
  LogError,
  type MembershipEvent,
} from './log.ts'

/** Heartbeats in a session: two may be lost before the member is. */
const HEARTBEATS_PER_SESSION = 3
const HEARTBEAT_INTERVAL_MAX_MS = 1_000
const RETRY = { baseMs: 50, maxMs: 1_000 }

type Next = 'rebalance' | 'closed' | Refused

export interface MemberSurroundings {
  readonly transport: GroupTransport
  readonly clock: Clock
  readonly random: Random
  /** Called when the member is finished, closed or not: its log need not close it any more. */
  readonly ended?: () => void
}

export function startGroupMember(
  options: JoinOptions,
  surroundings: MemberSurroundings,
): GroupMember {
  const member = new DrivenGroupMember(options, surroundings)
  member.start()
  return member
}

class DrivenGroupMember implements GroupMember {
  readonly #options: JoinOptions
  readonly #transport: GroupTransport
  readonly #clock: Clock
  readonly #random: Random
  readonly #ended: (() => void) | undefined
  readonly #events: MembershipEvent[] = []
  readonly #listeners: (() => void)[] = []
  readonly #closing: AbortController = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #wake: (() => void) | undefined

  #memberId: string = ''
  #generation: number = -1
  /** What the owner was last given and has not been told to drop; `assignment` follows when the owner takes the event. */
  #given: Assignment | undefined
  #assignment: Assignment | undefined
  #rejoinAsked: boolean = false

  constructor(options: JoinOptions, { transport, clock, random, ended }: MemberSurroundings) {
    this.#options = options
    this.#transport = transport
    this.#clock = clock
    this.#random = random
    this.#ended = ended
  }

  start(): void {
    this.#running = this.#run()
      .catch((error) => this.#end(error))
      .finally(this.#ended)
  }

  get assignment(): Assignment | undefined {
    return this.#assignment
  }

  take(): MembershipEvent | undefined {
    const event = this.#events.shift()
    if (event?.kind === 'assigned') this.#assignment = event.assignment
    return event
  }

  onEvent(listener: () => void): void {
    this.#listeners.push(listener)
  }

  rejoin(): void {
    this.#rejoinAsked = true
    this.#wake?.()
  }

  async close({ leave }: { readonly leave: boolean }): Promise<void> {
    this.#closing.abort()
    this.#wake?.()
    await this.#running
    this.#assignment = undefined
    this.#events.length = 0
    if (!leave || this.#memberId === '') return
    const ref = this.#ref()
    this.#memberId = ''
    try {
      await this.#transport.leave(ref)
    } catch (error) {
      // Its place is given up when its session expires, only later.
      if (!(error instanceof LogError && error.retriable)) throw error
    }
  }

  /** One round a generation: join, sync, live in it, finish. */
  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const joined = await this.#join()
      if (joined !== 'assigned') {
        if (joined !== 'closed' && !this.#refused(joined)) return
        continue
      }
      let next = await this.#live()
      if (next === 'rebalance') next = await this.#finish()
      if (typeof next === 'object' && !this.#refused(next)) return
    }
  }

  async #join(): Promise<'assigned' | 'closed' | Refused> {
    const { signal } = this.#closing
    const { instanceId, topics, sessionTimeoutMs, rebalanceTimeoutMs, assignor } = this.#options
    // Asked before the request is made: what is asked for from here on is another rebalance.
    this.#rejoinAsked = false
    const userData = this.#options.userData()
    const joined = await this.#retrying(() =>
      this.#transport.join(
        {
          memberId: this.#memberId,
          instanceId,
          topics,
          userData,
          sessionTimeoutMs,
          rebalanceTimeoutMs,
        },
        signal,
      ),
    )
    if (joined === 'closed' || 'refused' in joined) return joined
    this.#memberId = joined.memberId
    this.#generation = joined.generation

    const { subscriptions } = joined
    let assignments: ReturnType<typeof assignor> | undefined
    if (subscriptions) {
      const subscribed = [...new Set(subscriptions.flatMap((member) => member.topics))]
      const counts = await this.#retrying(() => this.#transport.partitionCounts(subscribed))
      if (counts === 'closed') return counts
      assignments = assignor(subscriptions, counts)
    }
    const synced = await this.#retrying(() =>
      this.#transport.sync({ ...this.#ref(), assignments }, signal),
    )
    if (synced === 'closed' || 'refused' in synced) return synced
    this.#give({
      groupId: this.#options.groupId,
      ...this.#ref(),
      partitions: synced.partitions,
      userData: synced.userData,
    })
    return 'assigned'
  }

  /** Heartbeats until the group, or the owner, wants something else. */
  async #live(): Promise<Next> {
    for (;;) {
      if (!this.#rejoinAsked) await this.#sleep(this.#heartbeatEveryMs())
      if (this.#closing.signal.aborted) return 'closed'
      if (this.#rejoinAsked) return 'rebalance'
      const answer = await this.#retrying(() => this.#transport.heartbeat(this.#ref()))
      if (answer === 'closed') return answer
      if (answer !== 'ok') return answer.refused === 'rebalancing' ? 'rebalance' : answer
    }
  }

  /** Lets the owner finish what it holds, with heartbeats meanwhile; then the member may rejoin. */
  async #finish(): Promise<Next> {
    const given = this.#given
    if (!given || given.partitions.length === 0) return 'rebalance'
    let acknowledged = false
    this.#emit({
      kind: 'revoking',
      assignment: given,
      acknowledge: () => {
        acknowledged = true
        this.#wake?.()
      },
    })
    for (;;) {
      if (acknowledged) return 'rebalance'
      if (this.#closing.signal.aborted) return 'closed'
      await this.#sleep(this.#heartbeatEveryMs())
      if (acknowledged || this.#closing.signal.aborted) continue
      const answer = await this.#retrying(() => this.#transport.heartbeat(this.#ref()))
      if (answer === 'closed') return answer
      if (answer !== 'ok' && answer.refused !== 'rebalancing') return answer
    }
  }

  /** What a refusal means for what is held; false if the member is finished. */
  #refused({ refused }: Refused): boolean {
    // The group began anew before this member was part of it: what it holds is settled when it is given the next.
    if (refused === 'rebalancing') return true
    const { groupId, instanceId } = this.#options
    const rejoining = refused !== 'fenced-instance'
    const reason =
      refused === 'fenced-instance'
        ? `another member of ${groupId} has taken the instance id ${instanceId}`
        : `${groupId} went on without this member (${refused})`
    if (!rejoining) {
      this.#end(new LogError('LOG_FENCED', reason))
      return false
    }
    if (refused === 'unknown-member') this.#memberId = ''
    if (this.#given) this.#lose(true, new LogError('LOG_FENCED', reason))
    return true
  }

  #give(assignment: Assignment): void {
    const held = this.#given
    if (held && assignment.generation > held.generation + 1) {
      const missed = `generations ${held.generation + 1} to ${assignment.generation - 1}`
      this.#lose(true, new LogError('LOG_FENCED', `this member missed ${missed}`))
    }
    this.#given = assignment
    this.#emit({ kind: 'assigned', assignment })
  }

  #lose(rejoining: boolean, error: unknown): void {
    this.#given = undefined
    this.#assignment = undefined
    // What was not taken yet is void: there is nothing left to finish or to begin.
    this.#events.length = 0
    this.#emit({ kind: 'lost', rejoining, error })
  }

  #end(error: unknown): void {
    this.#closing.abort()
    this.#memberId = ''
    this.#lose(false, error)
  }

  #emit(event: MembershipEvent): void {
    this.#events.push(event)
    for (const listener of this.#listeners) listener()
  }

  #ref(): { memberId: string; instanceId: string | undefined; generation: number } {
    const { instanceId } = this.#options
    return { memberId: this.#memberId, instanceId, generation: this.#generation }
  }

  #heartbeatEveryMs(): number {
    const { heartbeatIntervalMs, sessionTimeoutMs } = this.#options
    if (heartbeatIntervalMs !== undefined) return heartbeatIntervalMs
    return Math.min(sessionTimeoutMs / HEARTBEATS_PER_SESSION, HEARTBEAT_INTERVAL_MAX_MS)
  }

  /** Asks until there is an answer; errors that may pass are waited out, all others are thrown. */
  async #retrying<T>(ask: () => Promise<T>): Promise<T | 'closed'> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask()
      } catch (error) {
        if (this.#closing.signal.aborted) return 'closed'
        if (!(error instanceof LogError && error.retriable)) throw error
        await this.#sleep(jitteredBackoffMs(this.#random, attempt, RETRY))
      }
    }
  }

  #sleep(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#wake = undefined
        resolve()
      }
      const cancel = this.#clock.after(waitMs, done)
      this.#wake = done
    })
  }
}
