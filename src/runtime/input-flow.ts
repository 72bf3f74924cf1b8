/**
 * What a worker reads: the inputs of its tasks, each from where its task is, paused one by one while too much waits.
 *
 * Invariant: batches go to the task that asked for them, in order and without a gap, across reassignments.
 */
import {
  partitionKey,
  type FetchedBatch,
  type FetchProgress,
  type LogReader,
  type TopicPartition,
} from '#log'
import { assert } from '#system'
import type { RunningTask } from './running-task.ts'
import type { StreamsLimits } from './streams-options.ts'

interface Input extends TopicPartition {
  readonly task: RunningTask
  /** Where the next batch begins, or further where the log passed over control records. */
  nextOffset: number
  isPaused: boolean
}

export class InputFlow {
  readonly #reader: LogReader
  readonly #limits: StreamsLimits
  #inputs: ReadonlyMap<string, Input> = new Map()

  constructor(reader: LogReader, limits: StreamsLimits) {
    this.#reader = reader
    this.#limits = limits
  }

  /**
   * Reads the inputs of these tasks from now on: new ones from where they start, the others from where they are. A task that
   * has failed reads nothing.
   */
  assign(tasks: readonly RunningTask[]): void {
    const inputs = new Map<string, Input>()
    for (const task of tasks) {
      if (task.failure !== undefined) continue
      for (const { topic, partition } of task.inputs) {
        const key = partitionKey({ topic, partition })
        const known = this.#inputs.get(key)
        const nextOffset =
          known?.task === task ? this.#positionOf(known) : task.startOf({ topic, partition })
        inputs.set(key, { topic, partition, task, nextOffset, isPaused: false })
      }
    }
    this.#inputs = inputs
    this.#reader.assign(
      [...inputs.values()].map(({ topic, partition, nextOffset }) => ({
        topic,
        partition,
        position: nextOffset,
      })),
    )
    for (const input of inputs.values()) this.#reader.resume(input)
  }

  add(batches: readonly FetchedBatch[]): void {
    for (const batch of batches) {
      const input = this.#inputs.get(partitionKey(batch))
      assert(input !== undefined, `${partitionKey(batch)} was asked for`)
      input.task.task.add(batch)
      input.nextOffset = batch.nextOffset
    }
  }

  /** Pauses what has enough waiting, and lets on what has not. */
  throttle(): void {
    for (const input of this.#inputs.values()) {
      const isFull = input.task.task.bufferedBytesOf(input) >= this.#limits.inputBytesMax
      if (isFull === input.isPaused) continue
      input.isPaused = isFull
      if (isFull) this.#reader.pause(input)
      else this.#reader.resume(input)
    }
  }

  /** Undefined until something was fetched of what is read now. */
  progress(input: TopicPartition): FetchProgress | undefined {
    if (!this.#inputs.has(partitionKey(input))) return undefined
    const progress = this.#reader.progress(input)
    return progress === undefined || progress.fetchedAtMs < 0 ? undefined : progress
  }

  #positionOf(input: Input): number {
    return Math.max(input.nextOffset, this.#reader.progress(input)?.position ?? 0)
  }
}
