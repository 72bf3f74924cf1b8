/**
 * What becomes of a record that cannot be decoded, or whose processing threw: passed over with a dead letter, passed over
 * silently, or a stop of the task.
 *
 * Invariant: nothing of a failed record is left but its dead letter; a stop leaves the record where it is, so that it is met
 * again.
 */
import { partitionKey } from '#log'
import { noObserver, type Observer } from '#system'
import { addDeadLetter, describeError } from './dead-letters.ts'
import { FailureWindow } from './failure-window.ts'
import { deadLetterTopicOf } from './internal-names.ts'
import type { TaskCollector } from './record-collector.ts'
import { isBufferFull } from './record-queue.ts'
import type { TaskInput } from './task-input.ts'
import { TaskError, type TaskErrorCode } from './task-error.ts'
import type { ErrorPolicy, TaskOptions, TaskSetup } from './task-options.ts'

export class TaskFailures {
  readonly window: FailureWindow = new FailureWindow()
  /** Records passed over since the task began. */
  records: number = 0
  readonly #applicationId: string
  readonly #taskId: string
  readonly #options: TaskOptions
  readonly #observer: Observer
  readonly #collector: TaskCollector

  constructor({ identity, options, observer = noObserver }: TaskSetup, collector: TaskCollector) {
    this.#applicationId = identity.applicationId
    this.#taskId = identity.taskId
    this.#options = options
    this.#observer = observer
    this.#collector = collector
  }

  /** Each passes over the head as the policy says, or throws a TaskError with nothing changed if the task is to stop at it. */
  decoding(head: TaskInput, error: unknown): void {
    this.#passOver(head, head.source.name, error, this.#options.onDecodeError, 'DECODE_FAILED')
  }

  /** `node`: whose doing it was; the source's, if none was reached. */
  processing(head: TaskInput, error: unknown, node: string = head.source.name): void {
    this.#passOver(head, node, error, this.#options.onProcessingError, 'PROCESSING_FAILED')
  }

  /** R14. */
  tooFarAhead(head: TaskInput): void {
    const error = tooFarAhead(head, this.#taskId)
    this.#passOver(head, head.source.name, error, 'dead-letter', 'TIMESTAMP_TOO_FAR')
  }

  /** At a full buffer it always stops. */
  #passOver(
    head: TaskInput,
    node: string,
    error: unknown,
    policy: ErrorPolicy,
    code: TaskErrorCode,
  ): void {
    const taskId = this.#taskId
    const at = { ...head.input, offset: head.raw.offset }
    const { name, message } = describeError(error)
    const where = `task ${taskId} at ${partitionKey(at)} offset ${at.offset}`
    const options = { taskId, at, cause: error }
    if (policy === 'stop' || isBufferFull(error))
      throw new TaskError(code, `${where}: ${message}`, options)
    if (!this.window.failed()) {
      const text = `${where}: more than half of the last 100 records failed, now with ${message}`
      throw new TaskError('TASK_POISONED', text, options)
    }
    this.records += 1
    if (policy === 'skip') return
    const applicationId = this.#applicationId
    const topic = deadLetterTopicOf(applicationId)
    this.#collector.savepoint()
    try {
      addDeadLetter(this.#collector, topic, { ...head.input, node }, head.raw, error)
    } catch (failure) {
      const text = `${where}: ${message}; and its dead letter: ${describeError(failure).message}`
      throw new TaskError(code, text, options)
    }
    this.#observer({
      kind: 'dead-letter',
      applicationId,
      taskId,
      ...at,
      error: `${name}: ${message}`,
    })
  }
}

/** What a tick or a punctuation threw: there is no record to pass over. */
export function betweenRecords(taskId: string, cause: unknown): TaskError {
  const text = `task ${taskId}, between two records: ${describeError(cause).message}`
  return new TaskError('PROCESSING_FAILED', text, { taskId, cause })
}

/** R14: the error in the dead letter of a record from too far ahead. */
function tooFarAhead(head: TaskInput, taskId: string): TaskError {
  const message =
    `timestamp ${head.timestampMs} is more than ${head.maxAdvanceMs} ms ahead of stream time and ` +
    `clock: correct what sends it, or raise maxAdvanceMs of ${head.source.name}`
  const at = { ...head.input, offset: head.raw.offset }
  return new TaskError('TIMESTAMP_TOO_FAR', message, { taskId, at })
}
