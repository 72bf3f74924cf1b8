/**
 * Reads the batches of assigned partitions of a memory log, one batch of each in turn.
 *
 * Invariant: a position moves only over batches that were returned, or over offsets that hold none.
 */
import {
  type FetchedBatch,
  type FetchProgress,
  LogError,
  type LogReader,
  partitionKey,
  type TopicPartition,
} from '../log.ts'
import { checkBatch, checkPlace } from '../record-batch.ts'
import type { KeptBatch, MemoryPartition } from './memory-partition.ts'
import type { Clock } from '#system'

/** What a reader sees of its log. */
export interface ReaderSource {
  readonly clock: Clock
  /** TOPIC_UNKNOWN, or LOG_CLOSED. */
  partition(place: TopicPartition): MemoryPartition
  /** Calls back, once, when anything that can be read has changed. */
  onChange(listener: () => void): () => void
}

interface Assigned extends TopicPartition {
  position: number
  highWatermark: number
  fetchedAtMs: number
  paused: boolean
  /** Refused or damaged at its position: it rests until it is assigned anew. */
  stopped: boolean
}

export class MemoryReader implements LogReader {
  readonly #source: ReaderSource
  #assigned: ReadonlyMap<string, Assigned> = new Map()
  /** Whose batch comes first at the next poll, so that a full partition starves no other. */
  #turn: number = 0
  #woken: boolean = false
  #endWait: (() => void) | undefined
  #polling: boolean = false
  #closed: boolean = false

  constructor(source: ReaderSource) {
    this.#source = source
  }

  assign(positions: readonly (TopicPartition & { readonly position: number })[]): void {
    const before = this.#assigned
    const assigned = new Map<string, Assigned>()
    for (const { topic, partition, position } of positions) {
      const key = partitionKey({ topic, partition })
      const known = before.get(key)
      const stays = known !== undefined && known.position === position && !known.stopped
      assigned.set(
        key,
        stays
          ? known
          : {
              topic,
              partition,
              position,
              highWatermark: -1,
              fetchedAtMs: -1,
              paused: false,
              stopped: false,
            },
      )
    }
    this.#assigned = assigned
    this.#endWait?.()
  }

  async poll({
    waitMs,
    bytesMax,
  }: {
    readonly waitMs: number
    readonly bytesMax: number
  }): Promise<readonly FetchedBatch[]> {
    this.#assertOpen()
    if (this.#polling) throw new LogError('LOG_MISUSE', 'a reader polls once at a time')
    this.#polling = true
    try {
      const { clock } = this.#source
      const deadlineMs = clock.elapsedMs() + waitMs
      for (;;) {
        const batches = this.#fetch(bytesMax)
        const remainingMs = deadlineMs - clock.elapsedMs()
        if (batches.length > 0) return batches
        if (this.#woken || remainingMs <= 0) {
          this.#woken = false
          return batches
        }
        await this.#wait(remainingMs)
        this.#assertOpen()
      }
    } finally {
      this.#polling = false
    }
  }

  wake(): void {
    this.#woken = true
    this.#endWait?.()
  }

  pause(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned) assigned.paused = true
  }

  resume(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (!assigned) return
    assigned.paused = false
    this.#endWait?.()
  }

  progress(partition: TopicPartition): FetchProgress | undefined {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (!assigned) return undefined
    const { position, highWatermark, fetchedAtMs } = assigned
    // A commit is one step here: nothing lies between the last stable offset and the high watermark.
    return { position, highWatermark, lastStableOffset: highWatermark, fetchedAtMs }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#endWait?.()
  }

  #assertOpen(): void {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the reader is closed')
  }

  #fetch(bytesMax: number): readonly FetchedBatch[] {
    const open: { readonly assigned: Assigned; readonly partition: MemoryPartition }[] = []
    for (const assigned of this.#assigned.values()) {
      if (assigned.paused || assigned.stopped) continue
      open.push({ assigned, partition: this.#look(assigned) })
    }
    const batches: FetchedBatch[] = []
    let bytesLeft = bytesMax
    let first = this.#turn++
    while (open.length > 0 && bytesLeft > 0) {
      const at = first % open.length
      const turn = open[at]
      if (!turn) break
      const batch = this.#take(turn.assigned, turn.partition, batches.length > 0)
      if (batch === undefined) {
        open.splice(at, 1)
        first = at
        continue
      }
      batches.push(batch)
      bytesLeft -= batch.bytes.length
      first = at + 1
    }
    return batches
  }

  /** What a fetch sees of a partition, whether or not it brings anything. */
  #look(assigned: Assigned): MemoryPartition {
    try {
      const partition = this.#source.partition(assigned)
      const { topic, earliestOffset, endOffset } = partition
      const { position } = assigned
      if (position < earliestOffset || position > endOffset) {
        const at = { topic, partition: partition.partition, offset: position }
        const range = `${earliestOffset} to ${endOffset}`
        const message = `${topic}-${at.partition} has offsets ${range}, not ${position}`
        throw new LogError('OFFSET_OUT_OF_RANGE', message, { at })
      }
      assigned.highWatermark = endOffset
      assigned.fetchedAtMs = this.#source.clock.elapsedMs()
      return partition
    } catch (error) {
      assigned.stopped = true
      throw error
    }
  }

  #take(
    assigned: Assigned,
    partition: MemoryPartition,
    hasOthers: boolean,
  ): FetchedBatch | undefined {
    if (assigned.stopped) return undefined
    const batch = partition.batches[partition.indexFrom(assigned.position)]
    if (batch === undefined) {
      assigned.position = partition.endOffset
      return undefined
    }
    try {
      checkKept(partition, batch)
    } catch (error) {
      // What was found before it is returned first; the next poll comes back to this one, and says so.
      if (hasOthers) return undefined
      assigned.stopped = true
      throw error
    }
    assigned.position = batch.nextOffset
    const { topic } = partition
    const { bytes, baseOffset, nextOffset } = batch
    return { topic, partition: partition.partition, bytes, baseOffset, nextOffset }
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelTimer()
        cancelChange()
        this.#endWait = undefined
        resolve()
      }
      const cancelTimer = this.#source.clock.after(waitMs, end)
      const cancelChange = this.#source.onChange(end)
      this.#endWait = end
    })
  }
}

function checkKept({ topic, partition }: TopicPartition, batch: KeptBatch): void {
  const at = { topic, partition, offset: batch.baseOffset }
  checkBatch(batch.bytes, at)
  checkPlace(batch.bytes, at, batch)
}
