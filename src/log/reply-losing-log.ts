/**
 * A log whose commits sometimes get no answer: the request never arrived, or it was done and the reply was lost.
 *
 * Invariant: whoever commits sees the same `unknown` either way, so nothing but the log itself can tell them apart.
 */
import { DelegatingLog } from './delegating-log.ts'
import { type CommitResult, type Log, LogError, type LogWriter, type SealedCommit } from './log.ts'

/** What gets lost of a commit: nothing, the request (it is not done), or the reply (it is done). */
export type CommitLoss = 'none' | 'request' | 'reply'

export class ReplyLosingLog extends DelegatingLog {
  readonly #lossOf: (sealed: SealedCommit) => CommitLoss
  /** How many commits were answered `unknown`: a test proves with it that its fault was there. */
  lost: { request: number; reply: number } = { request: 0, reply: 0 }

  constructor(log: Log, lossOf: (sealed: SealedCommit) => CommitLoss) {
    super(log)
    this.#lossOf = lossOf
  }

  override async writer(options?: { readonly transactionalId?: string }): Promise<LogWriter> {
    const writer = await this.log.writer(options)
    return {
      append: (append) => writer.append(append),
      flush: () => writer.flush(),
      close: () => writer.close(),
      commit: (sealed) => this.#commit(writer, sealed),
    }
  }

  async #commit(writer: LogWriter, sealed: SealedCommit): Promise<CommitResult> {
    const loss = this.#lossOf(sealed)
    if (loss === 'none') return writer.commit(sealed)
    if (loss === 'reply') await writer.commit(sealed)
    this.lost[loss] += 1
    const error = new LogError('LOG_UNAVAILABLE', 'no reply to a commit', { retriable: true })
    return { outcome: 'unknown', error }
  }
}
