/** What fakes start from: a cluster that answers nothing, and a connection that sends nothing. */
import { type Callback, Connection } from '@platformatic/kafka'
import type { Clock, Random } from '#system'

import type { TopicPartition } from '../../log.ts'
import type { Cluster, CoordinatorKind, PartitionLeader, Purpose } from '../cluster.ts'

/** What a fake does not answer fails by its name. */
export abstract class StubCluster implements Cluster {
  readonly id: string = 'stub'
  readonly transactionVersion: number = 2
  abstract readonly clock: Clock
  abstract readonly random: Random

  call<T>(
    _nodeId: number,
    _purpose: Purpose,
    _timeoutMs: number,
    _exchange: (connection: Connection) => Promise<T>,
    _lane?: string,
  ): Promise<T> {
    return notFaked('call')
  }
  openLane(): string {
    return notFaked('openLane')
  }
  closeLane(_lane: string): void {
    notFaked('closeLane')
  }
  leader(_place: TopicPartition): Promise<PartitionLeader> {
    return notFaked('leader')
  }
  leaderHint(
    _place: TopicPartition,
    _leader: { readonly nodeId: number; readonly leaderEpoch: number },
  ): void {
    notFaked('leaderHint')
  }
  refresh(_topics: readonly string[]): Promise<void> {
    return notFaked('refresh')
  }
  partitionCounts(_topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return notFaked('partitionCounts')
  }
  topicName(_topicId: string): string | undefined {
    return notFaked('topicName')
  }
  coordinator(_kind: CoordinatorKind, _key: string): Promise<number> {
    return notFaked('coordinator')
  }
  forgetCoordinator(_kind: CoordinatorKind, _key: string): void {
    notFaked('forgetCoordinator')
  }
  retrying<T>(_deadlineMs: number, _attempt: () => Promise<T>): Promise<T> {
    return notFaked('retrying')
  }
  close(): Promise<void> {
    return notFaked('close')
  }
}

/** A connection that is never opened: `send` gets what would be written to it. */
export function connectionOf(send: Connection['send']): Connection {
  return Object.assign(new Connection('stub'), { send })
}

/** Takes any answer, whatever the request was: the caller knows which one it fakes. */
export type Answer = (error: Error | null, answer?: unknown) => void

export function answerTo<T>(done: Callback<T>): Answer {
  return done as Answer
}

function notFaked(member: string): never {
  throw new Error(`this fake of a cluster has no ${member}`)
}
