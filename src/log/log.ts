/**
 * The log contract: partitioned, ordered, durable topics; who consumed what; transactions; groups.
 *
 * Invariant: what was acknowledged is at its offset for ever (until retention), in order, and a transaction is
 * visible to read-committed readers whole or not at all. Every driver passes `log.contract.ts`.
 */

// ---------------------------------------------------------------- topics

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Settings by their Kafka names (`cleanup.policy`, `retention.ms`, …); a driver refuses what it does not know. */
export type TopicConfig = Readonly<Record<string, string>>

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  readonly config: TopicConfig
}

export interface TopicDescription extends TopicSpec {
  /** New each time a topic of this name is created: a store that remembers another one is refused (R6). */
  readonly topicId: string
}

// ---------------------------------------------------------------- reading

/** `committed` stops at the last stable offset and skips what was aborted; `uncommitted` goes to the high watermark. */
export type Isolation = 'read-committed' | 'read-uncommitted'

/** One record batch as it is kept (format v2, whole, its CRC checked), in offset order within its partition. */
export interface FetchedBatch extends TopicPartition {
  /** Starts with the batch header. Offsets below the reader's position may be inside: the consumer skips them. */
  readonly bytes: Uint8Array
  /** The offset of the batch's first record, as the log keeps it. */
  readonly baseOffset: number
  /** One past the batch's last offset. */
  readonly nextOffset: number
}

/** What the last successful fetch of a partition saw (R9 decides silence by it). */
export interface FetchProgress {
  /** The next offset that `poll` will return: records, skipped aborted ones and control records are behind it. */
  readonly position: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  /** Elapsed time (`clock.elapsedMs`) of the last fetch that succeeded; −1 before the first. */
  readonly fetchedAtMs: number
}

export interface LogReader {
  /** Replaces what is read and from where. Buffered batches of partitions that stay at their position are kept. */
  assign(positions: readonly (TopicPartition & { readonly position: number })[]): void
  /**
   * One poll at a time. Batches that are ready, at most about `bytesMax` of them (at least one batch if any is ready), or an
   * empty list after `waitMs` or when `wake` is called. A position below the earliest offset rejects with OFFSET_OUT_OF_RANGE;
   * a damaged batch with LOG_CORRUPT: only the partition named in the error stops, the others go on.
   */
  poll(options: {
    readonly waitMs: number
    readonly bytesMax: number
  }): Promise<readonly FetchedBatch[]>
  /** Ends a `poll` that waits, now or the next one that would wait. */
  wake(): void
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /** What the last successful fetch of an assigned partition saw. */
  progress(partition: TopicPartition): FetchProgress | undefined
  close(): Promise<void>
}

// ---------------------------------------------------------------- writing

/**
 * Records for one partition: one batch or several, one after the other, as `RecordBatchWriter.finish()` gives them, before
 * a driver stamps and seals them. None is larger than the topic's `max.message.bytes` (BATCH_BYTES_MAX unless set). The bytes
 * belong to the driver from here on.
 */
export interface Append extends TopicPartition {
  readonly bytes: Uint8Array
  /** Records in it: offsets it will take. */
  readonly count: number
}

export interface Appended {
  readonly baseOffset: number
  readonly count: number
}

export interface CommittedOffset {
  /** The next offset to read. */
  readonly offset: number
  /** Free text, at most 4,096 bytes. */
  readonly metadata: string
}

export interface OffsetCommit extends TopicPartition, CommittedOffset {}

/** Who may commit for a group: the immutable value that an assignment was, sent as it was sealed (R1). */
export interface MemberIdentity {
  readonly groupId: string
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly generation: number
}

/**
 * A whole transaction as one value that no longer changes: plain data, so it can cross to the thread that owns the writer.
 * `member` undefined commits offsets for `groupId` outside of membership, which works only while the group has no member.
 */
export interface SealedCommit {
  readonly appends: readonly Append[]
  readonly groupId: string | undefined
  readonly member: MemberIdentity | undefined
  readonly offsets: readonly OffsetCommit[]
}

/**
 * How a commit ended. `appended` is parallel to `appends`. `aborted` changed nothing; its error says why, LOG_FENCED among
 * them. `unknown` may have changed everything or nothing and is never to be resolved by hand: recover (R5).
 */
export type CommitResult =
  | { readonly outcome: 'committed'; readonly appended: readonly Appended[] }
  | { readonly outcome: 'aborted'; readonly error: unknown }
  | { readonly outcome: 'unknown'; readonly error: unknown }

export interface LogWriter {
  /**
   * Appends outside of transactions, in call order per partition, each append whole and once, batched with its
   * neighbours. Resolves when durable as the log's durability says. Not fenced by groups.
   */
  append(append: Append): Promise<Appended>
  /** Resolves when everything appended before is acknowledged. */
  flush(): Promise<void>
  /** One transaction. Never rejects: what goes wrong is an outcome. One at a time per writer. */
  commit(sealed: SealedCommit): Promise<CommitResult>
  close(): Promise<void>
}

// ---------------------------------------------------------------- groups

/** What a member tells the leader about itself when it joins. */
export interface MemberSubscription {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly userData: Uint8Array
}

export interface MemberAssignment {
  readonly partitions: readonly TopicPartition[]
  readonly userData: Uint8Array
}

/** Pure: the leader runs it over everybody's subscription; the answer has one entry a member id. */
export type Assignor = (
  members: readonly MemberSubscription[],
  partitionCounts: ReadonlyMap<string, number>,
) => ReadonlyMap<string, MemberAssignment>

/** An assignment with who holds it and since which generation: one immutable object. */
export interface Assignment extends MemberIdentity, MemberAssignment {}

/**
 * What happens to a member, in order, each taken once by `take`:
 * - `revoking`: a rebalance has begun. Finish and commit under the old assignment, then call `acknowledge`; only then does
 *   the member rejoin, and heartbeats go on meanwhile. It is not sent to a member that holds nothing.
 * - `assigned`: the new assignment. What it no longer contains belongs to somebody else.
 * - `lost`: expelled, left out of a generation, or fenced by a member of the same instance id: drop everything at once,
 *   commit nothing. `rejoining` says that the member tries again by itself; when false it is finished: another holder of its
 *   instance id has replaced it, or `error` will not pass.
 */
export type MembershipEvent =
  | { readonly kind: 'revoking'; readonly assignment: Assignment; acknowledge(): void }
  | { readonly kind: 'assigned'; readonly assignment: Assignment }
  | { readonly kind: 'lost'; readonly rejoining: boolean; readonly error: unknown }

export interface GroupMember {
  /** The assignment that was last taken, until it is lost. */
  readonly assignment: Assignment | undefined
  /** Takes the next event if one is there. */
  take(): MembershipEvent | undefined
  /** Calls `listener` whenever an event becomes available to `take`. */
  onEvent(listener: () => void): void
  /** Asks for a rebalance, with fresh user data. */
  rejoin(): void
  /** Stops heartbeats. With `leave` the group rebalances at once; without, a static member keeps its place until it expires. */
  close(options: { readonly leave: boolean }): Promise<void>
}

export interface JoinOptions {
  readonly groupId: string
  /** A static member's name (R23): a later join with the same name replaces the earlier and keeps its partitions. */
  readonly instanceId?: string
  readonly topics: readonly string[]
  /** Asked anew at every join. */
  readonly userData: () => Uint8Array
  readonly assignor: Assignor
  /** Not heard of for so long, a member is expelled. */
  readonly sessionTimeoutMs: number
  /** How long a rebalance waits for a member to finish and come back before it goes on without it. */
  readonly rebalanceTimeoutMs: number
  /** A rebalance is noticed no later than this; unless given, a third of the session and at most a second. */
  readonly heartbeatIntervalMs?: number
}

export interface GroupDescription {
  readonly groupId: string
  /** −1 where the log does not tell: Kafka does not for groups of others, nor for ours while they are empty or rebalance. */
  readonly generation: number
  readonly state: 'empty' | 'rebalancing' | 'stable'
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | undefined
    readonly partitions: readonly TopicPartition[]
    readonly userData: Uint8Array
  }[]
}

// ---------------------------------------------------------------- the log

/** What another thread of this process needs to reach the same log: post it with its transfer list, then `connect` there. */
export interface LogShare {
  readonly driver: string
  readonly value: unknown
  readonly transfer: readonly (ArrayBuffer | MessagePort)[]
}

export interface OffsetsOptions {
  /**
   * False: answers at once with what was committed before a pending transaction, which a writer that died may hold open for
   * 20 s. Enough to show how far a group is; whoever takes over from it needs the default, true.
   */
  readonly requireStable?: boolean
}

export interface Log {
  /** One id for the life of this log's data: a store that was filled from another log is refused (R6). */
  readonly id: string
  /** Idempotent. A topic that exists with another partition count is TOPIC_MISMATCH; its config is then left alone. */
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  /** Topics by name; all of them if none is named. A name that does not exist is absent from the answer. */
  describeTopics(names?: readonly string[]): Promise<readonly TopicDescription[]>
  deleteTopics(names: readonly string[]): Promise<void>
  /** Removes records below `offset`; the earliest offset becomes at least that. */
  deleteRecords(partition: TopicPartition, offset: number): Promise<void>

  earliestOffset(partition: TopicPartition): Promise<number>
  /** Last stable offset for read-committed, high watermark for read-uncommitted. */
  endOffset(partition: TopicPartition, isolation: Isolation): Promise<number>
  /** The first offset whose record's timestamp is `timestampMs` or later; undefined if there is none. */
  offsetForTimestamp(partition: TopicPartition, timestampMs: number): Promise<number | undefined>
  /** The leader epoch in force. */
  leaderEpoch(partition: TopicPartition): Promise<number>
  /** The end offset of a leader epoch: the start of the next one, or the high watermark; undefined for an unknown epoch. */
  endOffsetOfEpoch(partition: TopicPartition, epoch: number): Promise<number | undefined>
  /**
   * The offset below which tombstones may have been removed by compaction (R7); undefined where the log cannot know,
   * and the caller goes by `delete.retention.ms`.
   */
  tombstonesRemovedBelow(partition: TopicPartition): Promise<number | undefined>

  /** Stable offsets: waits out a pending transaction (R3). A partition without one is absent. Keys: `partitionKey`. */
  committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options?: OffsetsOptions,
  ): Promise<ReadonlyMap<string, CommittedOffset>>
  describeGroups(groupIds?: readonly string[]): Promise<readonly GroupDescription[]>

  reader(options?: { readonly isolation?: Isolation }): LogReader
  /**
   * A writer, initialised: with a transactional id every earlier writer of that id is fenced, and what it left open has ended.
   * Without one only `append` is allowed.
   */
  writer(options?: { readonly transactionalId?: string }): Promise<LogWriter>
  join(options: JoinOptions): Promise<GroupMember>

  /**
   * True where a commit is one atomic step that costs no more than appending does: it is then used, fences and all, for
   * `'at-least-once'` too (R18). Elsewhere that mode appends outside of transactions and commits the offsets after.
   */
  readonly commitsInOneStep?: boolean

  share(): LogShare
  close(): Promise<void>
}

/** One text a partition, for maps: `orders-3`. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}

// ---------------------------------------------------------------- errors

export type LogErrorCode =
  /** Damaged bytes at a topic, partition and offset. Restore the file from a copy, or skip with `deleteRecords`. */
  | 'LOG_CORRUPT'
  /**
   * The file is not a Millrace log, is newer, or cannot be written: choose another path, or upgrade. Or a cluster refuses who
   * comes: wrong credentials, an unknown authority, a right that is missing. The message says which.
   */
  | 'LOG_REFUSED'
  /** Storage or connection failed. Free space, mend the disk or network; the operation may be tried again. */
  | 'LOG_UNAVAILABLE'
  /** A newer writer of the same transactional id, or a newer generation of the group, has taken over: recover. */
  | 'LOG_FENCED'
  /** The log, reader, writer or member is closed. */
  | 'LOG_CLOSED'
  /** No such topic or partition: create it. */
  | 'TOPIC_UNKNOWN'
  /** It exists with another partition count: use that count, or another topic. */
  | 'TOPIC_MISMATCH'
  /** The name or a config value is not legal; the message names it. */
  | 'TOPIC_INVALID'
  /** The position is below the earliest offset or above the end: choose where to go on. */
  | 'OFFSET_OUT_OF_RANGE'
  /** A record or batch is larger than the topic takes; the message names it. */
  | 'RECORD_TOO_LARGE'
  /** Transactions need a transactional id, and only one commit may be in flight. */
  | 'LOG_MISUSE'

export class LogError extends Error {
  override readonly name: string = 'LogError'
  readonly code: LogErrorCode
  /** Whether the same call may succeed later without anybody's help. */
  readonly retriable: boolean
  /** Where, if the error belongs to one partition. */
  readonly at: (TopicPartition & { readonly offset?: number }) | undefined

  constructor(
    code: LogErrorCode,
    message: string,
    options: {
      readonly retriable?: boolean
      readonly at?: TopicPartition & { readonly offset?: number }
      readonly cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.retriable = options.retriable ?? false
    this.at = options.at
  }
}
