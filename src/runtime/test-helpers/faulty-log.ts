/**
 * A log as one process sees it, which may die or have its commits held up.
 *
 * After `crash` no call of the process reaches the log and none that it waits for is answered: it is as if it were gone.
 */
import {
  DelegatingLog,
  type Assignment,
  type CommitResult,
  type FetchedBatch,
  type GroupMember,
  type JoinOptions,
  type LogReader,
  type LogWriter,
  type MembershipEvent,
  type SealedCommit,
  type TopicPartition,
  type CommittedOffset,
} from '#log'

const NEVER: Promise<never> = new Promise(() => {})

export class FaultyLog extends DelegatingLog {
  isCrashed: boolean = false
  /** Waited for before a commit reaches the log. */
  beforeCommit: (sealed: SealedCommit) => Promise<void> = () => Promise.resolve()
  /** What the process hears of its next commit, which then never reaches the log. */
  loseNextRequest: (() => CommitResult) | undefined
  /** Waited for before the process hears how a commit ended; what it answers is what it hears. */
  afterCommit: (result: CommitResult, sealed: SealedCommit) => Promise<CommitResult> = (result) =>
    Promise.resolve(result)
  #members: ExpellableMember[] = []

  async crash(): Promise<void> {
    this.isCrashed = true
    for (const member of this.#members) await member.close({ leave: false })
  }

  /** Made before the crash or never answered. */
  async #alive<T>(call: () => Promise<T>): Promise<T> {
    if (this.isCrashed) return NEVER
    const answer = await call()
    return this.isCrashed ? NEVER : answer
  }

  override committedOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.#alive(() => this.log.committedOffsets(groupId, partitions))
  }

  override endOffset(...asked: Parameters<DelegatingLog['endOffset']>): Promise<number> {
    return this.#alive(() => this.log.endOffset(...asked))
  }

  override leaderEpoch(partition: TopicPartition): Promise<number> {
    return this.#alive(() => this.log.leaderEpoch(partition))
  }

  override reader(options?: Parameters<DelegatingLog['reader']>[0]): LogReader {
    const reader = this.log.reader(options)
    const poll = reader.poll.bind(reader)
    reader.poll = (wanted): Promise<readonly FetchedBatch[]> => this.#alive(() => poll(wanted))
    return reader
  }

  override async writer(options?: { readonly transactionalId?: string }): Promise<LogWriter> {
    const writer = await this.#alive(() => this.log.writer(options))
    return {
      append: (append) => this.#alive(() => writer.append(append)),
      flush: () => writer.flush(),
      close: () => writer.close(),
      commit: (sealed) => this.#commit(writer, sealed),
    }
  }

  override async join(options: JoinOptions): Promise<GroupMember> {
    const member = new ExpellableMember(await this.log.join(options), () => this.log.join(options))
    this.#members.push(member)
    return member
  }

  /** The group gives the process up at once; it hears of it, and joins again, when `heard` resolves. */
  async expel(heard: Promise<void>): Promise<void> {
    for (const member of this.#members) await member.expel(heard)
  }

  async #commit(writer: LogWriter, sealed: SealedCommit): Promise<CommitResult> {
    if (this.isCrashed) return NEVER
    const lose = this.loseNextRequest
    this.loseNextRequest = undefined
    if (lose !== undefined) return lose()
    await this.beforeCommit(sealed)
    if (this.isCrashed) return NEVER
    const result = await writer.commit(sealed)
    const heard = await this.afterCommit(result, sealed)
    return this.isCrashed ? NEVER : heard
  }
}

/** A member that can be thrown out as after a pause longer than its session: it goes on believing until it is told. */
class ExpellableMember implements GroupMember {
  #inner: GroupMember
  readonly #joinAgain: () => Promise<GroupMember>
  readonly #listeners: (() => void)[] = []
  #held: Assignment | undefined
  #isExpelled = false
  #isClosed = false
  #lost: MembershipEvent | undefined

  constructor(inner: GroupMember, joinAgain: () => Promise<GroupMember>) {
    this.#inner = inner
    this.#joinAgain = joinAgain
  }

  get assignment(): Assignment | undefined {
    return this.#isExpelled ? this.#held : this.#inner.assignment
  }

  take(): MembershipEvent | undefined {
    if (this.#isExpelled) return undefined
    const lost = this.#lost
    this.#lost = undefined
    return lost ?? this.#inner.take()
  }

  onEvent(listener: () => void): void {
    this.#listeners.push(listener)
    this.#inner.onEvent(listener)
  }

  rejoin(): void {
    if (!this.#isExpelled) this.#inner.rejoin()
  }

  async close(options: { readonly leave: boolean }): Promise<void> {
    this.#isClosed = true
    await this.#inner.close(options)
  }

  async expel(heard: Promise<void>): Promise<void> {
    if (this.#isExpelled || this.#isClosed) return
    this.#held = this.#inner.assignment
    this.#isExpelled = true
    await this.#inner.close({ leave: true })
    await heard
    if (this.#isClosed) return
    this.#inner = await this.#joinAgain()
    this.#isExpelled = false
    this.#lost = { kind: 'lost', rejoining: true, error: new TypeError('expelled by the test') }
    for (const listener of this.#listeners) {
      this.#inner.onEvent(listener)
      listener()
    }
  }
}

/** A promise and what settles it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}
