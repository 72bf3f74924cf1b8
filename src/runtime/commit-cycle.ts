/**
 * When to commit, and the one commit that may be in flight while its tasks go on processing into fresh layers.
 *
 * Invariant: one commit at a time, sealed under the assignment whose layers these are (R1); after an end other than committed
 * nothing is sealed again until the owner has recovered (R5).
 */
import type { FetchProgress, LogWriter, MemberIdentity, TopicPartition } from '#log'
import { assert } from '#system'
import { sealAll, type CommitEnd, type Committer, type Sealed } from './committer.ts'
import type { RunningTask } from './running-task.ts'
import type { Machine } from './streams-options.ts'
import type { WorkerCounters } from './worker-counters.ts'

export interface CommitCycleSetup {
  readonly committer: Committer
  readonly machine: Machine
  readonly commitIntervalMs: number
  readonly counters: WorkerCounters
  readonly progressOf: (partition: TopicPartition) => FetchProgress | undefined
  /** The commit in flight has ended. */
  readonly wake: () => void
}

/** What the last slice of processing left behind. */
export interface SliceResult {
  /** Nothing is buffered that could be taken, and the log has nothing more. */
  readonly isCaughtUp: boolean
  readonly isLayerFull: boolean
}

export class CommitCycle {
  readonly #setup: CommitCycleSetup
  #inFlight: Promise<void> | undefined
  #failure: (CommitEnd & { kind: 'failed' }) | undefined
  #sealedAtMs: number

  constructor(setup: CommitCycleSetup) {
    this.#setup = setup
    this.#sealedAtMs = setup.machine.clock.elapsedMs()
  }

  get isInFlight(): boolean {
    return this.#inFlight !== undefined
  }
  /** How the last commit ended, if it did not succeed. */
  get failure(): (CommitEnd & { kind: 'failed' }) | undefined {
    return this.#failure
  }
  /** Elapsed time at which a dirty task is committed at the latest. */
  get dueAtMs(): number {
    return this.#sealedAtMs + this.#setup.commitIntervalMs
  }

  /** The interval is a ceiling: with nothing left to process a commit starts at once. */
  isDue(tasks: Iterable<RunningTask>, slice: SliceResult): boolean {
    if (this.#inFlight !== undefined || this.#failure !== undefined) return false
    let isDirty = false
    let isRequested = false
    for (const { task } of tasks) {
      isDirty ||= task.isDirty
      isRequested ||= task.commitRequested
    }
    if (!isDirty) return false
    if (slice.isCaughtUp || slice.isLayerFull || isRequested) return true
    return this.#setup.machine.clock.elapsedMs() >= this.dueAtMs
  }

  /** Steps 1 to 7; resolves by itself, and `wake` tells. */
  start(writer: LogWriter, member: MemberIdentity, tasks: Iterable<RunningTask>): void {
    assert(this.#inFlight === undefined, 'one commit at a time')
    assert(this.#failure === undefined, 'a failed commit is recovered from before the next')
    const { machine, committer, counters, progressOf } = this.#setup
    const sealed = this.#seal(() => sealAll(tasks, member, progressOf))
    this.#sealedAtMs = machine.clock.elapsedMs()
    if (sealed === undefined) return
    const startedMs = this.#sealedAtMs
    this.#inFlight = committer.run(writer, sealed).then((end) => {
      this.#inFlight = undefined
      counters.committed(end.kind === 'committed', machine.clock.elapsedMs() - startedMs)
      if (end.kind === 'failed') this.#failure = end
      this.#setup.wake()
    })
  }

  /** Layers of which only some are sealed belong to no commit: nothing is sealed on top of them. */
  #seal(all: () => Sealed | undefined): Sealed | undefined {
    try {
      return all()
    } catch (cause) {
      this.#failure = { kind: 'failed', outcome: 'seal-failed', cause }
      throw cause
    }
  }

  /** The commit in flight, if any, has ended. */
  async settle(): Promise<void> {
    await this.#inFlight
  }

  /** Everything that is dirty is committed, or `failure` says why not. */
  async drain(
    writer: LogWriter,
    member: MemberIdentity,
    tasks: ReadonlyMap<string, RunningTask>,
  ): Promise<void> {
    await this.#inFlight
    if (this.#failure !== undefined) return
    this.start(writer, member, tasks.values())
    await this.#inFlight
  }

  /** The tasks of the failed commit are gone. */
  reset(): void {
    assert(this.#inFlight === undefined, 'a commit ends before its tasks are forgotten')
    this.#failure = undefined
  }
}
