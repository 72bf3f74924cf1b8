/**
 * A writer of a memory log. Everything it does is one step of the log, so nothing is ever half done.
 *
 * Invariant: `commit` never rejects, and never ends `unknown`.
 */
import {
  type Append,
  type Appended,
  type CommitResult,
  LogError,
  type LogWriter,
  type SealedCommit,
} from '../log.ts'

/** What a writer does to its log: each call checks everything first and throws a LogError, or is done whole. */
export interface WriterTarget {
  append(append: Append): Appended
  commit(sealed: SealedCommit, writer: TransactionalWriter): readonly Appended[]
}

export interface TransactionalWriter {
  readonly transactionalId: string
  readonly epoch: number
}

export class MemoryWriter implements LogWriter {
  readonly #target: WriterTarget
  /** Undefined for a writer that only appends. */
  readonly #transactional: TransactionalWriter | undefined
  #committing: boolean = false
  #closed: boolean = false

  constructor(target: WriterTarget, transactional: TransactionalWriter | undefined) {
    this.#target = target
    this.#transactional = transactional
  }

  async append(append: Append): Promise<Appended> {
    if (this.#closed) throw new LogError('LOG_CLOSED', 'the writer is closed')
    return this.#target.append(append)
  }

  async flush(): Promise<void> {}

  async commit(sealed: SealedCommit): Promise<CommitResult> {
    if (this.#committing) {
      return aborted(new LogError('LOG_MISUSE', 'one commit at a time: await the one in flight'))
    }
    this.#committing = true
    try {
      // As with every other log, the caller gets to run before it is done: a second commit now is its mistake.
      await undefined
      if (this.#closed) throw new LogError('LOG_CLOSED', 'the writer is closed')
      if (!this.#transactional) {
        throw new LogError('LOG_MISUSE', 'transactions need a writer with a transactional id')
      }
      return {
        outcome: 'committed',
        appended: this.#target.commit(sealed, this.#transactional),
      }
    } catch (error) {
      return aborted(error)
    } finally {
      this.#committing = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}

function aborted(error: unknown): CommitResult {
  return { outcome: 'aborted', error }
}
