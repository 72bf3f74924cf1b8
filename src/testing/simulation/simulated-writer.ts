/**
 * A writer of a simulated log. A commit goes as a driver's does: appends, offsets, the end; its process may stand still between
 * any two of them, and each may be lost.
 *
 * Invariant: `commit` never rejects; what was sent twice is written once; `unknown` is what it says.
 */
import {
  LogError,
  type Append,
  type Appended,
  type CommitResult,
  type LogWriter,
  type SealedCommit,
} from '#log'
import type { Broker } from './broker.ts'
import type { FaultPlan } from './fault-plan.ts'
import type { Network } from './network.ts'
import type { SimulatedProcess } from './simulated-process.ts'

const ATTEMPTS_MAX = 4

export interface WriterParts {
  readonly broker: Broker
  readonly network: Network
  readonly process: SimulatedProcess
  readonly faults: FaultPlan
}

export interface WriterIdentity {
  readonly transactionalId: string
  readonly epoch: number
}

export class SimulatedWriter implements LogWriter {
  readonly #parts: WriterParts
  readonly #identity: WriterIdentity | undefined
  #isCommitting: boolean = false

  constructor(parts: WriterParts, identity: WriterIdentity | undefined) {
    this.#parts = parts
    this.#identity = identity
  }

  append(append: Append): Promise<Appended> {
    this.#parts.process.reach('append')
    return this.#once('append', () => this.#parts.broker.append(append))
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  async commit(sealed: SealedCommit): Promise<CommitResult> {
    const identity = this.#identity
    if (identity === undefined || this.#isCommitting) {
      return { outcome: 'aborted', error: new LogError('LOG_MISUSE', 'one commit at a time') }
    }
    this.#isCommitting = true
    try {
      await this.#at('sealed')
      const { broker } = this.#parts
      if (broker.isOneStep) return await this.#commitWhole(identity, sealed)
      return await this.#commitInSteps(identity, sealed)
    } finally {
      this.#isCommitting = false
    }
  }

  async #commitWhole(identity: WriterIdentity, sealed: SealedCommit): Promise<CommitResult> {
    const { broker, network, process } = this.#parts
    const { transactionalId, epoch } = identity
    try {
      const appended = await network.call(process, 'commit', () =>
        broker.commitWhole(transactionalId, epoch, sealed),
      )
      await this.#at('ended')
      return { outcome: 'committed', appended }
    } catch (error) {
      return { outcome: isUnanswered(error) ? 'unknown' : 'aborted', error }
    }
  }

  async #commitInSteps(identity: WriterIdentity, sealed: SealedCommit): Promise<CommitResult> {
    const { broker, network, process } = this.#parts
    const { transactionalId, epoch } = identity
    let appended: readonly Appended[]
    try {
      appended = await this.#write(identity, sealed.appends)
      await this.#at('appended')
      await this.#once('offsets', () => broker.addOffsets(transactionalId, epoch, sealed))
      await this.#at('offsets')
    } catch (error) {
      await this.#abort(identity, error)
      return { outcome: 'aborted', error }
    }
    try {
      await network.call(process, 'end', () => broker.end(transactionalId, epoch, 'committed'))
    } catch (error) {
      return { outcome: isUnanswered(error) ? 'unknown' : 'aborted', error }
    }
    await this.#at('ended')
    return { outcome: 'committed', appended }
  }

  /** In one request, or one an append: a process may be gone after the first. */
  async #write(
    { transactionalId, epoch }: WriterIdentity,
    appends: readonly Append[],
  ): Promise<readonly Appended[]> {
    const { broker, process } = this.#parts
    const isSplit = appends.length > 1 && process.random.chance(0.25)
    if (!isSplit) {
      return this.#once('produce', () => broker.produce(transactionalId, epoch, appends))
    }
    const appended: Appended[] = []
    for (const append of appends) {
      appended.push(
        ...(await this.#once('produce', () => broker.produce(transactionalId, epoch, [append]))),
      )
    }
    return appended
  }

  async #abort({ transactionalId, epoch }: WriterIdentity, cause: unknown): Promise<void> {
    const { broker, network, process } = this.#parts
    if (cause instanceof LogError && cause.code === 'LOG_FENCED' && !this.#isGroups(cause)) return
    try {
      await network.call(process, 'abort', () => broker.end(transactionalId, epoch, 'aborted'))
    } catch {
      // The next writer of this id ends it, or its time-out does.
    }
  }

  /** Refused by the group, so the transaction is still ours to end. */
  #isGroups(error: LogError): boolean {
    return error.message.includes('cannot commit for')
  }

  /** Sent again until it is answered, as an idempotent producer does: done once, answered the same. */
  async #once<T>(label: string, request: () => T | Promise<T>): Promise<T> {
    const { network, process } = this.#parts
    let done: Promise<T> | undefined
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await network.call(process, label, () => (done ??= (async () => request())()))
      } catch (error) {
        if (!isUnanswered(error) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  }

  /** Where a pause does most harm. */
  async #at(step: string): Promise<void> {
    const { process } = this.#parts
    process.reach(step)
    await process.soon(step)
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof LogError && error.code === 'LOG_UNAVAILABLE'
}
