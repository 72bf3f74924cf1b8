/**
 * Reads batches of the assigned partitions, each from its position, and checks every one.
 *
 * Invariant: a partition's position moves only over batches that were returned, or over offsets that hold none.
 */
import type { Statement } from 'bun:sqlite'

import {
  type FetchedBatch,
  type FetchProgress,
  LogError,
  type LogReader,
  partitionKey,
  type TopicPartition,
} from '../log.ts'
import { checkBatch, checkPlace, corruptAt } from '../record-batch.ts'
import { epochAt, numberOf, type PartitionEntry } from './catalog.ts'
import { isBusy, isCorrupt } from './connection.ts'
import type { ReadHandle } from './read-handle.ts'

interface BatchRow {
  readonly base_offset: number
  readonly last_offset: number
  readonly bytes: Uint8Array
}

interface Fetched {
  readonly batches: readonly FetchedBatch[]
  /** The data version that was looked at. */
  readonly seen: number
}

interface AssignedPartition extends TopicPartition {
  position: number
  highWatermark: number
  fetchedAtMs: number
  /** The position may lie inside a batch: it was given from outside. */
  mayBeInside: boolean
  paused: boolean
  /** It was refused or damaged at its position, and stops until it is assigned anew. */
  stopped: boolean
  /** The data version at which nothing was left to read; −1 if there may be something. */
  drainedAt: number
}

export class SqliteReader implements LogReader {
  readonly #handle: ReadHandle
  readonly #onClose: (reader: SqliteReader) => void
  readonly #batchesFrom: Statement<BatchRow, [number, number, number]>
  readonly #batchAround: Statement
  #assigned: AssignedPartition[] = []
  readonly #byKey: Map<string, AssignedPartition> = new Map()
  /** Whose turn it is to be read first, so that no partition starves behind a full one. */
  #first: number = 0
  /** Of stopped partitions, to be thrown one a poll. */
  #errors: LogError[] = []
  #woken: boolean = false
  #endWait: (() => void) | undefined
  #polling: boolean = false
  #closed: boolean = false

  constructor(handle: ReadHandle, onClose: (reader: SqliteReader) => void) {
    this.#handle = handle
    this.#onClose = onClose
    this.#batchesFrom = handle.database.prepare(
      `SELECT base_offset, last_offset, bytes FROM batches
       WHERE topic = ? AND partition = ? AND base_offset >= ? ORDER BY base_offset`,
    )
    this.#batchAround = handle.database.prepare(
      `SELECT base_offset, last_offset FROM batches
       WHERE topic = ? AND partition = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1`,
    )
  }

  assign(positions: readonly (TopicPartition & { readonly position: number })[]): void {
    const kept = new Map(this.#byKey)
    this.#byKey.clear()
    this.#assigned = positions.map(({ topic, partition, position }) => {
      const before = kept.get(partitionKey({ topic, partition }))
      const stays = before !== undefined && before.position === position && !before.stopped
      const assigned = stays
        ? before
        : {
            topic,
            partition,
            position,
            highWatermark: -1,
            fetchedAtMs: -1,
            mayBeInside: true,
            paused: false,
            stopped: false,
            drainedAt: -1,
          }
      this.#byKey.set(partitionKey(assigned), assigned)
      return assigned
    })
    this.#first = 0
    this.#errors = []
    this.#endWait?.()
  }

  async poll(options: {
    readonly waitMs: number
    readonly bytesMax: number
  }): Promise<readonly FetchedBatch[]> {
    this.#assertOpen()
    if (this.#polling) throw new LogError('LOG_MISUSE', 'a reader polls once at a time')
    this.#polling = true
    try {
      this.#throwError()
      const { clock } = this.#handle
      const deadlineMs = clock.elapsedMs() + options.waitMs
      while (true) {
        const { batches, seen } = this.#fetchUnlessBusy(options.bytesMax)
        if (batches.length > 0) return batches
        this.#throwError()
        const remainingMs = deadlineMs - clock.elapsedMs()
        if (this.#woken || remainingMs <= 0) {
          this.#woken = false
          return batches
        }
        await this.#wait(seen, remainingMs)
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
    const assigned = this.#byKey.get(partitionKey(partition))
    if (assigned !== undefined) assigned.paused = true
  }

  resume(partition: TopicPartition): void {
    const assigned = this.#byKey.get(partitionKey(partition))
    if (assigned === undefined || !assigned.paused) return
    assigned.paused = false
    this.#endWait?.()
  }

  progress(partition: TopicPartition): FetchProgress | undefined {
    const assigned = this.#byKey.get(partitionKey(partition))
    if (assigned === undefined) return undefined
    const { position, highWatermark, fetchedAtMs } = assigned
    // A commit is one step here: nothing between the last stable offset and the high watermark.
    return { position, highWatermark, lastStableOffset: highWatermark, fetchedAtMs }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#onClose(this)
    this.#endWait?.()
    this.#batchesFrom.finalize()
    this.#batchAround.finalize()
  }

  #assertOpen(): void {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the reader is closed')
    this.#handle.assertOpen()
  }

  #throwError(): void {
    const error = this.#errors.shift()
    if (error !== undefined) throw error
  }

  #wait(seen: number, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelSignal()
        cancelTimer()
        this.#endWait = undefined
        resolve()
      }
      const cancelSignal = this.#handle.signal.wait(seen, end)
      const cancelTimer = this.#handle.clock.after(waitMs, end)
      this.#endWait = end
    })
  }

  /** A file that another process recovers just now has nothing new, and is looked at again soon. */
  #fetchUnlessBusy(bytesMax: number): Fetched {
    try {
      return this.#fetch(bytesMax)
    } catch (error) {
      if (!isBusy(error)) throw error
      return { batches: [], seen: -1 }
    }
  }

  #fetch(bytesMax: number): Fetched {
    return this.#handle.read((seen) => {
      const batches: FetchedBatch[] = []
      const open = this.#assigned.filter(({ paused, stopped }) => !paused && !stopped)
      // Everybody gets an equal share first, so that heads of all partitions are there to be compared.
      const share = Math.ceil(bytesMax / Math.max(1, open.length))
      let bytesLeft = bytesMax
      for (let at = 0; at < open.length && bytesLeft > 0; at += 1) {
        const assigned = open[(this.#first + at) % open.length]
        if (assigned === undefined) continue
        try {
          const limit = Math.min(share, bytesLeft)
          bytesLeft -= this.#fetchPartition(assigned, seen, limit, batches)
        } catch (error) {
          const failure = partitionError(assigned, error)
          if (failure === undefined) {
            // Not the partition's fault. What was found is returned; the next poll meets the error again.
            if (batches.length > 0) break
            throw error
          }
          this.#errors.push(failure)
          assigned.stopped = true
        }
      }
      this.#first = open.length === 0 ? 0 : (this.#first + 1) % open.length
      return { batches, seen }
    })
  }

  /** Adds batches of one partition, at least one if there is any; returns their bytes. */
  #fetchPartition(
    assigned: AssignedPartition,
    seen: number,
    bytesMax: number,
    batches: FetchedBatch[],
  ): number {
    if (assigned.drainedAt === seen) {
      assigned.fetchedAtMs = this.#handle.clock.elapsedMs()
      return 0
    }
    const { catalog } = this.#handle
    const entry = catalog.partition(assigned)
    const endOffset = catalog.endOffset(entry)
    assertInRange(assigned, entry, endOffset)
    let bytes = 0
    let drained = true
    const { topicNumber, partition } = entry
    for (const row of this.#batchesFrom.iterate(
      topicNumber,
      partition,
      this.#start(assigned, entry),
    )) {
      if (bytes >= bytesMax) {
        drained = false
        break
      }
      const batch = checkRow(entry, row)
      batches.push(batch)
      bytes += batch.bytes.length
      assigned.position = batch.nextOffset
      assigned.mayBeInside = false
    }
    if (drained) assigned.position = endOffset
    assigned.drainedAt = drained ? seen : -1
    assigned.highWatermark = endOffset
    assigned.fetchedAtMs = this.#handle.clock.elapsedMs()
    return bytes
  }

  /** The base offset to search from: that of the batch which the position lies in, if any. */
  #start(assigned: AssignedPartition, entry: PartitionEntry): number {
    const { position } = assigned
    if (!assigned.mayBeInside) return position
    const row = this.#batchAround.values(entry.topicNumber, entry.partition, position)[0]
    if (row === undefined || numberOf(row[1]) < position) return position
    return numberOf(row[0])
  }
}

/** What stops one partition; undefined for what stops a poll. */
function partitionError(
  { topic, partition, position }: AssignedPartition,
  error: unknown,
): LogError | undefined {
  if (error instanceof LogError) return error
  if (isCorrupt(error)) {
    return corruptAt({ topic, partition, offset: position }, error.message, error)
  }
  return undefined
}

function assertInRange(
  { topic, partition, position }: AssignedPartition,
  { earliestOffset }: PartitionEntry,
  endOffset: number,
): void {
  if (position >= earliestOffset && position <= endOffset) return
  throw new LogError(
    'OFFSET_OUT_OF_RANGE',
    `${topic}-${partition} holds offsets from ${earliestOffset} to ${endOffset}, not ${position}`,
    { at: { topic, partition, offset: position } },
  )
}

/** A row's batch, its checksum right and its place the one that the row says. */
function checkRow(entry: PartitionEntry, row: BatchRow): FetchedBatch {
  const { topic, partition } = entry
  const { base_offset: baseOffset, bytes } = row
  const nextOffset = row.last_offset + 1
  const at = { topic, partition, offset: baseOffset }
  checkBatch(bytes, at)
  checkPlace(bytes, at, { nextOffset, leaderEpoch: epochAt(entry, baseOffset) })
  return { topic, partition, bytes, baseOffset, nextOffset }
}
