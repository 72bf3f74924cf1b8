/**
 * A log whose brokers can be sent away: appends are then refused, or wait as those of a producer do, or are done without an
 * answer.
 *
 * Invariant: what waits is done in the order in which it was asked for, once the log is back.
 */
import { DelegatingLog, LogError, type Append, type Appended, type LogWriter } from '#millrace'

export type Presence = 'answers' | 'refuses' | 'waits' | 'loses-replies'

export class AwayLog extends DelegatingLog {
  presence: Presence = 'answers'
  /** How long an append takes while the log answers. */
  latencyMs = 0
  /** How often an append was refused, kept waiting, or done without an answer: a test proves its fault with it. */
  readonly fired: Record<Exclude<Presence, 'answers'>, number> = {
    refuses: 0,
    waits: 0,
    'loses-replies': 0,
  }
  /** The most appends of one partition that were under way at a time. */
  underWayMax = 0
  readonly #underWay = new Map<number, number>()
  readonly #waiting: (() => void)[] = []

  /** Back: what waits is done now. */
  answer(): void {
    this.presence = 'answers'
    for (const go of this.#waiting.splice(0)) go()
  }

  override async writer(options?: { readonly transactionalId?: string }): Promise<LogWriter> {
    const writer = await this.log.writer(options)
    return {
      append: (append) => this.#counted(append, () => this.#append(writer, append)),
      flush: () => writer.flush(),
      close: () => writer.close(),
      commit: (sealed) => writer.commit(sealed),
    }
  }

  async #append(writer: LogWriter, append: Append): Promise<Appended> {
    const { presence } = this
    if (presence === 'answers') {
      if (this.latencyMs > 0) await Bun.sleep(this.latencyMs)
      return writer.append(append)
    }
    this.fired[presence] += 1
    if (presence === 'waits') {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
      return writer.append(append)
    }
    if (presence === 'loses-replies') await writer.append(append)
    throw new LogError('LOG_UNAVAILABLE', 'the brokers are away', { retriable: true })
  }

  async #counted<T>({ partition }: Append, run: () => Promise<T>): Promise<T> {
    const before = this.#underWay.get(partition) ?? 0
    this.#underWay.set(partition, before + 1)
    this.underWayMax = Math.max(this.underWayMax, before + 1)
    try {
      return await run()
    } finally {
      this.#underWay.set(partition, (this.#underWay.get(partition) ?? 0) - 1)
    }
  }
}
