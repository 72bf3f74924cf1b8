/**
 * What is wrong with one partition of an input: the task that reads it stops there, and no other.
 *
 * Invariant: the error names topic, partition and offset, and what a person can do about it; nothing at or behind that offset
 * was taken.
 */
import { LogError, partitionKey, type TopicPartition } from '#log'
import type { Machine } from './streams-options.ts'
import { TaskError, type RecordPlace } from './task-error.ts'

/** A task that reads inputs, as far as it matters here. */
interface Reading {
  readonly taskId: string
  readonly inputs: readonly TopicPartition[]
  fail(error: TaskError): void
}

/** An error that stops only its task, whether it is met at the input or when the task is recovered. */
export function isOfOneInput(error: unknown): error is TaskError & { readonly at: RecordPlace } {
  if (!(error instanceof TaskError) || error.at === undefined) return false
  return error.code === 'INPUT_CORRUPT' || error.code === 'OFFSETS_LOST'
}

/** Stops the task whose input the log's error is about; false if it is about no input of these tasks, or about all. */
export function failInput(
  error: unknown,
  tasks: Iterable<Reading>,
  machine: Machine,
  applicationId: string,
): boolean {
  if (!(error instanceof LogError) || error.at === undefined) return false
  const { topic, partition, offset = -1 } = error.at
  for (const task of tasks) {
    if (!task.inputs.some((each) => each.topic === topic && each.partition === partition)) continue
    const failure = failureOf(error, { topic, partition, offset }, task.taskId, applicationId)
    if (failure === undefined) return false
    task.fail(failure)
    tellFailure(machine, applicationId, failure)
    return true
  }
  return false
}

/** R22: an offset that was committed, and that the input no longer has. */
export function offsetsLost(
  at: RecordPlace,
  earliest: number | undefined,
  taskId: string,
  applicationId: string,
  cause?: unknown,
): TaskError {
  const begins = earliest === undefined ? '' : `, which now begins at ${earliest}`
  const text =
    `task ${taskId}: the next offset of ${partitionKey(at)} is ${at.offset}, and the log does not have it${begins} ` +
    `(R22). Reset ${applicationId}, or restore the topic or the committed offset`
  return new TaskError('OFFSETS_LOST', text, { taskId, at, cause })
}

export function tellFailure(
  { observer }: Machine,
  applicationId: string,
  failure: TaskError,
): void {
  const { taskId, at, message } = failure
  if (at !== undefined)
    observer({ kind: 'task-failed', applicationId, taskId, ...at, error: message })
}

function failureOf(
  error: LogError,
  at: RecordPlace,
  taskId: string,
  applicationId: string,
): TaskError | undefined {
  if (error.code === 'OFFSET_OUT_OF_RANGE') {
    return offsetsLost(at, undefined, taskId, applicationId, error)
  }
  if (error.code !== 'LOG_CORRUPT') return undefined
  const text =
    `task ${taskId} stops at ${partitionKey(at)} offset ${at.offset}: ${error.message}. Restore the topic from a copy, or ` +
    `commit an offset behind the damage for ${applicationId}, and start again`
  return new TaskError('INPUT_CORRUPT', text, { taskId, at, cause: error })
}
