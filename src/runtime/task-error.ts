/**
 * What can stop a task, each with what to do about it.
 *
 * Invariant: a code says one thing for ever; the message names the task and the place.
 */
export type TaskErrorCode =
  /** A newer owner holds the task. Nothing to do: this worker gives it up and joins again. */
  | 'TASK_FENCED'
  /** The task's memory and the log no longer agree, or its commit did not succeed: it is rebuilt from the log (R5). */
  | 'TASK_CORRUPTED'
  /**
   * More than half of the last 100 records failed: the program or what feeds it is wrong. Mend it and start again; the count
   * is kept in the committed offsets, so a restart alone does not swallow more records (R15).
   */
  | 'TASK_POISONED'
  /** A record cannot be decoded and `onDecodeError` is 'stop'. Mend the serde or skip the record, then start again. */
  | 'DECODE_FAILED'
  /**
   * User code threw and `onProcessingError` is 'stop', or a punctuator threw: mend it, then start again. Or suppress is full
   * and may not emit early, whatever the policy: raise its limit, then start again.
   */
  | 'PROCESSING_FAILED'
  /**
   * A value in a store cannot be committed: its serde refuses it, or it is too large for the changelog, and no record could be
   * found that has put it (a value that was changed after it was put, a tick). Mend what puts it.
   */
  | 'STORE_REFUSED'
  /** R14: a record's timestamp is too far ahead (it went to the dead letters). Correct what sends it, or raise `maxAdvanceMs`. */
  | 'TIMESTAMP_TOO_FAR'
  /** The committed offsets are gone although the task has state (R22). Reset the application, or restore the offsets. */
  | 'OFFSETS_LOST'
  /**
   * A batch of an input is damaged on the log: the task has stopped before it, and only it. Restore the topic from a copy, or
   * commit an offset behind the damage for the application; then start again.
   */
  | 'INPUT_CORRUPT'
  /** The journal holds an entry of a newer version. Replay with that version. */
  | 'JOURNAL_NEWER'
  /** The journal's bytes are damaged. Restore the topic from a copy. */
  | 'JOURNAL_CORRUPT'
  /** The times to save do not fit into the metadata of a commit even with short names (R21). Split the sub-topology. */
  | 'METADATA_TOO_LARGE'
  /** A topic that the task reads or writes does not exist on the log. Create it, then start again. */
  | 'TOPIC_MISSING'
  /** The task that has the key is not in this process: ask its owner, whose endpoint the message names if it is known. */
  | 'QUERY_NOT_HERE'
  /** What the query waits for was not applied in time: ask again, or wait longer. */
  | 'QUERY_STALE'

/** Where the record was that the error is about. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export class TaskError extends Error {
  override readonly name: string = 'TaskError'
  readonly code: TaskErrorCode
  readonly taskId: string
  readonly at: RecordPlace | undefined

  constructor(
    code: TaskErrorCode,
    message: string,
    options: { readonly taskId: string; readonly at?: RecordPlace; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.taskId = options.taskId
    this.at = options.at
  }
}
