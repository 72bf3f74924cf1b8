/**
 * One assigned partition of a reader: where it stands, what has been fetched and not yet been taken, and what stopped it.
 *
 * Invariant: `position` moves only over batches that were taken, or over offsets that hold nothing to be seen; what is buffered
 * is exactly what lies between it and `fetchOffset`.
 */
import type { FetchedBatch, FetchProgress, TopicPartition } from '../log.ts'
import { corruptAt } from '../record-batch.ts'
import type { PartitionLeader } from './cluster.ts'
import type { AnsweredPartition } from './fetch-codec.ts'
import { measureBatches, VisibleBatches } from './read-committed.ts'

interface Buffered {
  readonly batches: VisibleBatches
  readonly sizeBytes: number
}

export class FetchPartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Where the next fetch begins. */
  fetchOffset: number
  bufferedBytes: number = 0
  isPaused: boolean = false
  /** What stopped it has been told: it rests until it is assigned anew. */
  isStopped: boolean = false
  /** To be told when everything before it has been taken. */
  error: unknown
  /** Undefined until found, and again when it is no longer believed. */
  leader: PartitionLeader | undefined
  isLocating: boolean = false
  /** Attempts that failed since the last that did not; after each it rests for a while. */
  failures: number = 0
  isResting: boolean = false
  /** The leader that is remembered has been found wrong. */
  mustRefresh: boolean = false
  /** When it was last known to exist; at first, when it was assigned. */
  foundAtMs: number
  /** Counts up over all partitions: the lowest was given nothing for longest. */
  servedAt: number = 0
  /** The topic that it belongs to, by the id that never comes again. */
  topicId: string | undefined
  #buffered: Buffered[] = []
  #position: number
  #highWatermark: number = -1
  #lastStableOffset: number = -1
  #fetchedAtMs: number = -1

  constructor({ topic, partition }: TopicPartition, position: number, nowMs: number) {
    this.topic = topic
    this.partition = partition
    this.fetchOffset = position
    this.#position = position
    this.foundAtMs = nowMs
  }

  get position(): number {
    return this.#position
  }

  get progress(): FetchProgress {
    return {
      position: this.#position,
      highWatermark: this.#highWatermark,
      lastStableOffset: this.#lastStableOffset,
      fetchedAtMs: this.#fetchedAtMs,
    }
  }

  /** More is known to be there than has been fetched. */
  get isBehind(): boolean {
    return this.fetchOffset < this.#lastStableOffset || this.#fetchedAtMs < 0
  }

  /** An answer without an error, to a fetch from `fetchOffset`. */
  receive(answer: AnsweredPartition, nowMs: number): void {
    const { records, highWatermark, lastStableOffset, aborted } = answer
    this.#highWatermark = highWatermark
    // Read-uncommitted answers have none.
    this.#lastStableOffset = lastStableOffset < 0 ? highWatermark : lastStableOffset
    this.#fetchedAtMs = nowMs
    this.failures = 0
    this.foundAtMs = nowMs
    if (records.length === 0) return
    const { endAt, nextOffset } = measureBatches(records)
    if (nextOffset <= this.fetchOffset) {
      // A first batch always comes whole: this would be asked for again for ever.
      this.error = corruptAt(
        { topic: this.topic, partition: this.partition, offset: this.fetchOffset },
        `${records.length} bytes came that hold no whole batch from there on`,
      )
      return
    }
    const whole = records.subarray(0, endAt)
    const batches = new VisibleBatches(this, whole, this.fetchOffset, aborted)
    this.fetchOffset = nextOffset
    this.#buffered.push({ batches, sizeBytes: endAt })
    this.bufferedBytes += endAt
    this.#pass()
  }

  /** Adds batches to `taken`, one at least if there is any, until they have `bytesMax`; returns their bytes. */
  take(bytesMax: number, taken: FetchedBatch[]): number {
    let bytes = 0
    try {
      while (bytes < bytesMax) {
        const batch = this.#buffered[0]?.batches.take()
        if (batch === undefined) break
        taken.push(batch)
        bytes += batch.bytes.length
        this.#pass()
      }
    } catch (error) {
      this.drop()
      this.error = error
    }
    return bytes
  }

  /** Nothing is left to take. */
  get isDrained(): boolean {
    return this.#buffered.length === 0
  }

  /** Forgets what is buffered: it is fetched again. */
  drop(): void {
    this.#buffered = []
    this.bufferedBytes = 0
    this.fetchOffset = this.#position
  }

  /** Moves the position over what is not to be seen, and lets go of what is done. */
  #pass(): void {
    for (;;) {
      const first = this.#buffered[0]
      if (first === undefined) return
      this.#position = first.batches.position
      if (!first.batches.isDone) return
      this.#buffered.shift()
      this.bufferedBytes -= first.sizeBytes
    }
  }
}
