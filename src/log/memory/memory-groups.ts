/**
 * The groups of a memory log: who is in them, and what they have committed.
 *
 * Invariant: a group's state changes only in `#set`, which wakes whoever waits for it and arms the timer of its next deadline.
 */
import type { CancelTimer, Clock, Random } from '#system'

import type { GroupHost } from '../group-transport.ts'
import {
  type CommittedOffset,
  type GroupDescription,
  LogError,
  type OffsetCommit,
  partitionKey,
  type SealedCommit,
  type TopicPartition,
} from '../log.ts'
import {
  admitCommit,
  advance,
  describeGroup,
  EMPTY_GROUP,
  type GroupState,
  nextDeadlineMs,
  type Step,
} from '../membership.ts'

interface Group {
  state: GroupState
  readonly offsets: Map<string, OffsetCommit>
  waiting: (() => void)[]
  cancelTimer: CancelTimer
}

export class MemoryGroups implements GroupHost {
  readonly #clock: Clock
  readonly #random: Random
  readonly #partitionCount: (topic: string) => number | undefined
  readonly #groups: Map<string, Group> = new Map()
  #closed: boolean = false

  constructor(options: {
    readonly clock: Clock
    readonly random: Random
    readonly partitionCount: (topic: string) => number | undefined
  }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#partitionCount = options.partitionCount
  }

  async update<T>(
    groupId: string,
    step: (group: GroupState, nowMs: number) => Step<T>,
  ): Promise<T> {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the log is closed')
    const group = this.#group(groupId)
    const { group: state, answer } = step(group.state, this.#clock.elapsedMs())
    this.#set(groupId, group, state)
    return answer
  }

  changed(groupId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', done)
      this.#group(groupId).waiting.push(done)
    })
  }

  async partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    for (const topic of topics) {
      const count = this.#partitionCount(topic)
      if (count !== undefined) counts.set(topic, count)
    }
    return counts
  }

  newMemberId(): string {
    return this.#random.uuid()
  }

  /** LOG_FENCED unless the sealed member may commit for its group now. */
  assertMayCommit({ groupId, member }: SealedCommit & { readonly groupId: string }): void {
    const group = this.#group(groupId)
    const { group: state, answer } = admitCommit(group.state, member, this.#clock.elapsedMs())
    this.#set(groupId, group, state)
    if (answer === 'ok') return
    const who = member ? `generation ${member.generation}` : 'somebody outside of the group'
    throw new LogError('LOG_FENCED', `${who} cannot commit for ${groupId}: ${answer.refused}`)
  }

  setOffsets(groupId: string, offsets: readonly OffsetCommit[]): void {
    const group = this.#group(groupId)
    for (const offset of offsets) group.offsets.set(partitionKey(offset), offset)
  }

  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): ReadonlyMap<string, CommittedOffset> {
    const committed = new Map<string, CommittedOffset>()
    for (const partition of partitions) {
      const found = this.#groups.get(groupId)?.offsets.get(partitionKey(partition))
      if (!found) continue
      const { offset, metadata } = found
      committed.set(partitionKey(partition), { offset, metadata })
    }
    return committed
  }

  /** The offsets of a topic go with it: a new one of the same name is another topic. */
  forgetTopic(topic: string): void {
    for (const { offsets } of this.#groups.values()) {
      for (const [key, offset] of offsets) if (offset.topic === topic) offsets.delete(key)
    }
  }

  describe(groupIds: readonly string[] | undefined): readonly GroupDescription[] {
    const descriptions: GroupDescription[] = []
    for (const groupId of groupIds ?? this.#groups.keys()) {
      const group = this.#groups.get(groupId)
      if (!group) continue
      this.#advance(groupId, group)
      descriptions.push(describeGroup(groupId, group.state))
    }
    return descriptions
  }

  close(): void {
    this.#closed = true
    for (const group of this.#groups.values()) group.cancelTimer()
  }

  #group(groupId: string): Group {
    let group = this.#groups.get(groupId)
    if (!group) {
      group = { state: EMPTY_GROUP, offsets: new Map(), waiting: [], cancelTimer: () => {} }
      this.#groups.set(groupId, group)
    }
    return group
  }

  #advance(groupId: string, group: Group): void {
    this.#set(groupId, group, advance(group.state, this.#clock.elapsedMs()))
  }

  #set(groupId: string, group: Group, state: GroupState): void {
    if (state === group.state || this.#closed) return
    group.state = state
    const { waiting } = group
    group.waiting = []
    for (const wake of waiting) wake()
    group.cancelTimer()
    const deadlineMs = nextDeadlineMs(state)
    if (deadlineMs === Number.POSITIVE_INFINITY) return
    // Not before the deadline, however a timer rounds: it would find nothing to do and arm itself again at once.
    const waitMs = Math.max(0, Math.ceil(deadlineMs - this.#clock.elapsedMs()))
    group.cancelTimer = this.#clock.after(waitMs, () => this.#onTimer(groupId, group))
  }

  #onTimer(groupId: string, group: Group): void {
    const nowMs = this.#clock.elapsedMs()
    const deadlineMs = nextDeadlineMs(group.state)
    if (nowMs >= deadlineMs) return this.#advance(groupId, group)
    if (this.#closed || deadlineMs === Number.POSITIVE_INFINITY) return
    const waitMs = Math.max(1, Math.ceil(deadlineMs - nowMs))
    group.cancelTimer = this.#clock.after(waitMs, () => this.#onTimer(groupId, group))
  }
}
