/**
 * The log as a process sees it that may be killed: from then on nothing of it reaches the log, and it is told nothing.
 *
 * Invariant: what had reached the log before stays, and no goodbye is said, as after `kill -9`.
 */
import {
  DelegatingLog,
  type GroupMember,
  type JoinOptions,
  type LogReader,
  type LogWriter,
} from '#millrace'

const NEVER: Promise<never> = new Promise(() => {})

export class MortalLog extends DelegatingLog {
  readonly #members: GroupMember[] = []
  #isDead = false

  async kill(): Promise<void> {
    this.#isDead = true
    for (const member of this.#members) await member.close({ leave: false })
  }

  async #alive<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isDead) return NEVER
    const answer = await call()
    return this.#isDead ? NEVER : answer
  }

  override reader(options?: Parameters<DelegatingLog['reader']>[0]): LogReader {
    const reader = this.log.reader(options)
    const poll = reader.poll.bind(reader)
    reader.poll = (wanted) => this.#alive(() => poll(wanted))
    return reader
  }

  override async writer(options?: { readonly transactionalId?: string }): Promise<LogWriter> {
    const writer = await this.#alive(() => this.log.writer(options))
    return {
      append: (append) => this.#alive(() => writer.append(append)),
      flush: () => this.#alive(() => writer.flush()),
      close: () => this.#alive(() => writer.close()),
      commit: (sealed) => this.#alive(() => writer.commit(sealed)),
    }
  }

  override async join(options: JoinOptions): Promise<GroupMember> {
    const member = await this.#alive(() => this.log.join(options))
    this.#members.push(member)
    return member
  }
}
