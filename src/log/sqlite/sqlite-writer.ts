/**
 * A writer of one thread: what it is given goes to the owner of the connection as it is.
 *
 * Invariant: `commit` never rejects, and one is in flight at most.
 */
import {
  type Append,
  type Appended,
  type CommitResult,
  LogError,
  type LogWriter,
  type SealedCommit,
} from '../log.ts'
import type { WriteChannel } from './write-channel.ts'

export class SqliteWriter implements LogWriter {
  readonly #channel: WriteChannel
  /** Undefined for a writer that only appends. */
  readonly #transactional: { readonly transactionalId: string; readonly epoch: number } | undefined
  readonly #unacknowledged: Set<Promise<Appended>> = new Set()
  #committing: boolean = false
  #closed: boolean = false

  constructor(
    channel: WriteChannel,
    transactional: { readonly transactionalId: string; readonly epoch: number } | undefined,
  ) {
    this.#channel = channel
    this.#transactional = transactional
  }

  append(append: Append): Promise<Appended> {
    if (this.#closed) return Promise.reject(closedError())
    const appended = this.#channel.ask('append', append)
    this.#unacknowledged.add(appended)
    const forget = (): void => void this.#unacknowledged.delete(appended)
    appended.then(forget, forget)
    return appended
  }

  async flush(): Promise<void> {
    await Promise.all(this.#unacknowledged)
  }

  async commit(sealed: SealedCommit): Promise<CommitResult> {
    const error = this.#refusal()
    if (error !== undefined || this.#transactional === undefined)
      return { outcome: 'aborted', error }
    this.#committing = true
    try {
      return await this.#channel.ask('commit', { ...this.#transactional, sealed })
    } catch (failure) {
      return { outcome: 'unknown', error: failure }
    } finally {
      this.#committing = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#unacknowledged)
  }

  #refusal(): LogError | undefined {
    if (this.#closed) return closedError()
    if (this.#transactional === undefined) {
      return new LogError('LOG_MISUSE', 'a writer without a transactional id cannot commit')
    }
    if (this.#committing) {
      return new LogError('LOG_MISUSE', 'a commit is in flight: await it before the next')
    }
    return undefined
  }
}

const closedError = (): LogError => new LogError('LOG_CLOSED', 'the writer is closed')
