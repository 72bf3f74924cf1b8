/**
 * What a pipeline is to the task that runs it, and the task to the pipeline: the processors of one sub-topology, wired for
 * one partition.
 *
 * Invariant: same calls in the same order give the same forwards, whatever ran before on another task.
 */
import type { RawRecord, RecordHeaders } from '#log'
import type { TaskStore } from '#state'
import type { TimestampExtractor } from './node.ts'
import type { RecordCollector } from './processor.ts'
import type { SubTopology, Topology } from './topology.ts'

/** What a pipeline needs from the task that runs it. */
export interface PipelineEnvironment {
  readonly applicationId: string
  readonly taskId: string
  readonly partition: number
  readonly wallClockMs: () => number
  /** Every store of the sub-topology, loaded. */
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly collector: RecordCollector
  /** A record was dropped (T3, W3, W4, S3 …): counted, once each. */
  dropped(node: string, reason: string): void
  /** A record came after its window had closed (goes to `<app>-late`). */
  late(
    node: string,
    window: { readonly startMs: number; readonly endMs: number },
    key: unknown,
    value: unknown,
  ): void
  requestCommit(): void
  /** Final results of windows that closed have just been forwarded; drills may stop the process here. */
  windowsClosed?(): void
  /** For sources that name none; without it an invalid timestamp is refused. Repartition sources always refuse. */
  readonly timestampExtractor?: TimestampExtractor
  /**
   * A processor has thrown: true passes over that one call, and its siblings go on, as Kafka Streams does. Only for
   * compatibility; without it a record that throws is undone whole, by the task (R15).
   */
  passOver?(node: string, error: unknown): boolean
  /** Values put into stores are frozen, deep: a mutation fails where it happens (the test driver sets it). */
  readonly freezeValues?: boolean
}

/** A record taken from its bytes: what the partition group orders by. */
export interface DecodedRecord {
  readonly key: unknown
  readonly value: unknown
  /** The extractor's answer; negative = dropped (T3). */
  readonly timestampMs: number
}

export interface PipelineApi {
  /**
   * Decodes a record as it becomes the head of its queue (T2). Throws what the serde or the extractor throws: the task
   * decides what becomes of it. `topic`, here and in `process`: as the topology or as the log names it. The answer is valid
   * until the next call: a record costs no object.
   */
  decode(
    topic: string,
    partition: number,
    record: RawRecord,
    partitionTimeMs: number,
  ): DecodedRecord
  /**
   * Runs one record to the end; the caller has set the savepoint. Stream time of the task is advanced by the caller.
   * A negative timestamp is dropped and counted (T3).
   */
  process(
    topic: string,
    record: DecodedRecord,
    place: { readonly partition: number; readonly offset: number; readonly headers: RecordHeaders },
  ): void
  /**
   * `emit: 'per-commit'`: sends what the record caches hold, before a seal, so that it is in the same commit. Time that is
   * advanced sends it first by itself: what closes then must have seen it.
   */
  flush(): void
  /** A flush would send something: a commit with one is named in the journal (R10). */
  readonly holdsForwards: boolean
  /** A tick (R9): raises the stream time of every node that its sources reach to `timeMs`; what is now due closes. */
  tick(timeMs: number): void
  /** The minimum over upstream time records (R12) has risen: the time of nodes below a `slowest-upstream` source is now this. */
  advanceTime(source: string, timeMs: number): void
  /**
   * R12: announces as idle, at the last time it announced, every sending node that has nothing waiting and is not idle
   * already; called as long as the task is quiet, after each tick. True if it announced anything.
   */
  announceIdle(): boolean
  /**
   * R12: takes back the idleness of every sending node, announcing its edge again: with the first record that any of them
   * counts by itself, and when the task begins or stops to read. True if it announced anything.
   */
  announceReturn(): boolean
  /** The least time for which `advanceTime(source, …)` would close something; Infinity when nothing waits. */
  nextDueTimeMs(source: string): number
  /**
   * The least stream time at which a tick would do something: a window closes, suppress emits, a punctuation is due.
   * Infinity when nothing waits. Ticks are decided by it, so that silence does not fill the journal.
   */
  readonly nextDueStreamTimeMs: number
  /** The task's stream time: highest timestamp processed or ticked; −1 at first. Set by the task before `process`. */
  streamTimeMs: number
  /** Whose doing it is that one of these calls has just thrown: the node that last ran user code or a serde. */
  readonly nodeAtWork: string | undefined
  /** Fires what is due (P1–P4); returns how many fired. Each wall-clock firing is reported for the journal. */
  punctuateStreamTime(): number
  punctuateWallClock(nowMs: number): readonly { readonly name: string; readonly timeMs: number }[]
  /** Replays one journaled wall-clock firing. */
  replayPunctuation(name: string, timeMs: number): void
  /** When the next wall-clock punctuation is due; Infinity if none. */
  readonly nextWallClockMs: number

  /**
   * Names to times that must survive a restart (per-node stream time, last emitted close time): kept in commit metadata.
   * The names are the same at every call; −1 is a time that was never set.
   */
  savedTimes(): ReadonlyMap<string, number>
  restoreTimes(times: ReadonlyMap<string, number>): void

  /** R15, beside the stores' own savepoints: node times and schedules. */
  savepoint(): void
  rollback(): void
  close(): void
}

export type PipelineFactory = (
  topology: Topology,
  subTopology: SubTopology,
  environment: PipelineEnvironment,
) => PipelineApi
