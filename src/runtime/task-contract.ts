/**
 * What a worker, a committer and a test driver ask of a task, and nothing else: one sub-topology on one partition.
 *
 * Invariant: a task is synchronous. It never reads a log or a clock by itself; batches, positions and times are handed in,
 * and what it wrote leaves it only as a sealed value (R1).
 */
import type {
  Append,
  Appended,
  CommittedOffset,
  FetchedBatch,
  OffsetCommit,
  TopicPartition,
} from '#log'
import type { StateStore } from '#state'
import type { SubTopology, Topology } from '#topology'

/** The life of a task: created → restoring → running → suspended → closed. */
export type TaskState = 'created' | 'restoring' | 'running' | 'suspended' | 'closed'

/** `0_3`: sub-topology 0, partition 3. */
export interface TaskIdentity {
  readonly applicationId: string
  readonly topology: Topology
  readonly subTopology: SubTopology
  readonly partition: number
  readonly taskId: string
}

/** One store's part of a sealed task: which appends are its changelog, and what the backend gets once they are committed. */
export interface SealedStore {
  readonly storeName: string
  readonly store: StateStore
  readonly changes: readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[]
  /** Indexes into `SealedTask.appends`, in order; empty for a store without a changelog or without writes. */
  readonly changelogAppends: readonly number[]
}

/** Everything one task contributes to one commit (protocol section 5, step 1). It no longer changes. */
export interface SealedTask {
  readonly taskId: string
  /** Changelogs first, then everything else that was written; topic names as the log knows them. */
  readonly appends: readonly Append[]
  /** Every input partition with its metadata, whether or not it moved (R1). */
  readonly offsets: readonly OffsetCommit[]
  readonly stores: readonly SealedStore[]
  /** Next input offsets by `partitionKey`: the applied input positions once this is applied (R6). */
  readonly inputPositions: Readonly<Record<string, number>>
}

export interface StepResult {
  readonly processed: number
  /** Why it stopped: no head to take, an input below its high watermark has none yet, a limit, or the open layer is full. */
  readonly stopped: 'empty' | 'waiting-for-input' | 'records-max' | 'layer-full'
}

/** What the last fetch of an input saw, as the log's reader tells it; undefined before the first. */
export type ProgressOf = (partition: TopicPartition) =>
  | {
      readonly position: number
      readonly highWatermark: number
      readonly fetchedAtMs: number
    }
  | undefined

export interface TaskApi {
  readonly taskId: string
  readonly state: TaskState
  /** Input partitions, topic names as the log knows them. */
  readonly inputs: readonly TopicPartition[]
  /** Queued, not yet processed. */
  readonly bufferedBytes: number
  /** The part of it that waits in one input: a worker pauses inputs one by one, since a full one may wait for an empty one. */
  bufferedBytesOf(input: TopicPartition): number
  readonly streamTimeMs: number
  /** True when there is anything to commit: records taken, ticks, punctuations, or time announced since the last seal. */
  readonly isDirty: boolean
  /** Asked for by a processor (`context.commit()`). */
  readonly commitRequested: boolean

  /** Where to read from: committed offsets (or earliest), restored times; then `running`. */
  start(committed: ReadonlyMap<string, CommittedOffset>): void
  /** Queues a fetched batch of one of the inputs. */
  add(batch: FetchedBatch): void
  /** Takes records, lowest timestamp first, each to its end, until none is ready or `recordsMax` are done. */
  process(recordsMax: number, progressOf: ProgressOf): StepResult
  /** Stream-time punctuations happen inside `process`; this fires wall-clock ones that are due. Returns how many fired. */
  punctuate(nowMs: number): number
  /**
   * R9: if every input is at its high watermark and has been silent for its policy's `closeMs` (and `mayTick` agrees), advances
   * stream time by the silence where something waits for it, and announces idleness. True if it did anything.
   * R12: who above had fallen idle before the task began is waited for until it speaks, or until `mayTrust` says that it had
   * nothing to catch up with.
   */
  tick(
    elapsedMs: number,
    progressOf: ProgressOf,
    mayTick: (applicationId: string) => boolean,
    mayTrust?: () => boolean,
  ): boolean
  /** When `tick` or `punctuate` next has a reason to be called: elapsed and wall-clock milliseconds; Infinity if never. */
  readonly nextTickElapsedMs: number
  readonly nextWallClockMs: number

  /**
   * Step 1. One sealed value at a time: `release` or closing comes first. Undefined when nothing is dirty. Nothing may have
   * been polled that is not added: an empty input is committed at the position that `progressOf` gives (T8).
   */
  seal(progressOf: ProgressOf): SealedTask | undefined
  /** Step 7, after every store has applied. */
  release(): void
  /** Drops everything; the caller has committed, or never will. */
  close(): Promise<void>
}

/** Positions of a commit's changelog records in the order of `SealedTask.appends` (R2). */
export type TaskAppended = readonly Appended[]
