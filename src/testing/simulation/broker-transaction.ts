/**
 * A transaction as the broker keeps it: what it has written, which offsets it would commit, and how it ends.
 *
 * Invariant: decided once. Its markers come to each partition in their own time, and the offsets count when theirs has come.
 */
import type { Append, Appended, OffsetCommit } from '#log'

export type TransactionState = 'open' | 'committed' | 'aborted'

/** A partition that it has written to. */
export interface Marked {
  mark(transaction: BrokerTransaction): void
}

export class BrokerTransaction {
  readonly transactionalId: string
  readonly epoch: number
  readonly startedAtMs: number
  readonly partitions: Set<Marked> = new Set()
  /** In the order in which they were written. */
  readonly appends: { readonly append: Append; readonly appended: Appended }[] = []
  groupId: string | undefined
  offsets: readonly OffsetCommit[] = []
  /** Its pending offsets have not become stable. */
  holdsOffsets: boolean = false
  state: TransactionState = 'open'
  /** Every marker has come. */
  isDone: boolean = false

  constructor(transactionalId: string, epoch: number, startedAtMs: number) {
    this.transactionalId = transactionalId
    this.epoch = epoch
    this.startedAtMs = startedAtMs
  }

  get isAborted(): boolean {
    return this.state === 'aborted'
  }

  get isCommitted(): boolean {
    return this.state === 'committed'
  }
}
