/**
 * What each error code means to a transaction, request by request, as it was seen on Apache Kafka 4.3.1.
 *
 * Invariant: what is not in the table ends the transaction; nothing is tried again by default.
 */
import { LogError } from '../log.ts'
import { CODE, kafkaError } from './errors.ts'

/** `add` is AddPartitionsToTxn and AddOffsetsToTxn, which only version 1 of the protocol has. */
export type Step = 'produce' | 'add' | 'offsets' | 'end'

/**
 * - `retry`: nothing was done, the same request may succeed (after leader or coordinator were looked up again).
 * - `abort`: this transaction cannot be committed; EndTxn ends it.
 * - `fenced`: a newer writer of the transactional id, or the broker's time-out, has ended it already.
 * - `lost`: whether anything was done is open, and asking again cannot tell.
 */
export type Verdict = 'retry' | 'abort' | 'fenced' | 'lost'

type Row = readonly [produce: Verdict, add: Verdict, offsets: Verdict, end: Verdict]
const COLUMNS: readonly Step[] = ['produce', 'add', 'offsets', 'end']

/**
 * In version 2 the broker adds partitions and groups by itself, and disguises that another such addition is under way: a
 * Produce says 19, a TxnOffsetCommit 14.
 */
const TABLE: Readonly<Record<number, Row>> = {
  //                                  produce   add       offsets   end
  /* CORRUPT_MESSAGE             */ 2: ['retry', 'abort', 'abort', 'lost'],
  /* UNKNOWN_TOPIC_OR_PARTITION  */ 3: ['retry', 'retry', 'retry', 'lost'],
  /* LEADER_NOT_AVAILABLE        */ 5: ['retry', 'retry', 'abort', 'lost'],
  /* NOT_LEADER_OR_FOLLOWER      */ 6: ['retry', 'retry', 'abort', 'lost'],
  /* REQUEST_TIMED_OUT           */ 7: ['retry', 'retry', 'retry', 'lost'],
  /* REPLICA_NOT_AVAILABLE       */ 9: ['retry', 'abort', 'abort', 'lost'],
  /* MESSAGE_TOO_LARGE           */ 10: ['abort', 'abort', 'abort', 'lost'],
  /* OFFSET_METADATA_TOO_LARGE   */ 12: ['abort', 'abort', 'abort', 'lost'],
  /* COORDINATOR_LOAD_IN_PROGRESS*/ 14: ['retry', 'retry', 'retry', 'retry'],
  /* COORDINATOR_NOT_AVAILABLE   */ 15: ['retry', 'retry', 'retry', 'retry'],
  /* NOT_COORDINATOR             */ 16: ['retry', 'retry', 'retry', 'retry'],
  /* NOT_ENOUGH_REPLICAS         */ 19: ['retry', 'abort', 'abort', 'lost'],
  /* .. AFTER_APPEND             */ 20: ['retry', 'abort', 'abort', 'lost'],
  /* ILLEGAL_GENERATION          */ 22: ['abort', 'abort', 'abort', 'lost'],
  /* UNKNOWN_MEMBER_ID           */ 25: ['abort', 'abort', 'abort', 'lost'],
  /* REBALANCE_IN_PROGRESS       */ 27: ['abort', 'abort', 'abort', 'lost'],
  /* OUT_OF_ORDER_SEQUENCE       */ 45: ['abort', 'abort', 'abort', 'lost'],
  /* INVALID_PRODUCER_EPOCH      */ 47: ['fenced', 'fenced', 'fenced', 'fenced'],
  /* INVALID_TXN_STATE           */ 48: ['abort', 'abort', 'abort', 'lost'],
  /* INVALID_PRODUCER_ID_MAPPING */ 49: ['abort', 'abort', 'abort', 'lost'],
  /* CONCURRENT_TRANSACTIONS     */ 51: ['retry', 'retry', 'retry', 'retry'],
  /* TRANSACTIONAL_ID_AUTHORIZ.  */ 53: ['abort', 'abort', 'abort', 'lost'],
  /* KAFKA_STORAGE_ERROR         */ 56: ['retry', 'abort', 'abort', 'lost'],
  /* UNKNOWN_PRODUCER_ID         */ 59: ['abort', 'abort', 'abort', 'lost'],
  /* FENCED_LEADER_EPOCH         */ 74: ['retry', 'abort', 'abort', 'lost'],
  /* UNKNOWN_LEADER_EPOCH        */ 75: ['retry', 'abort', 'abort', 'lost'],
  /* FENCED_INSTANCE_ID          */ 82: ['abort', 'abort', 'abort', 'lost'],
  /* PRODUCER_FENCED             */ 90: ['fenced', 'fenced', 'fenced', 'fenced'],
  /* TRANSACTION_ABORTABLE       */ 120: ['abort', 'abort', 'abort', 'abort'],
}

export function verdictOf(step: Step, code: number): Verdict {
  const verdict = TABLE[code]?.[COLUMNS.indexOf(step)]
  return verdict ?? (step === 'end' ? 'lost' : 'abort')
}

/** Codes of an EndTxn that was looked at and not begun. After others that say "retry" it may have been. */
const NOT_BEGUN: ReadonlySet<number> = new Set([
  CODE.coordinatorLoadInProgress,
  CODE.concurrentTransactions,
])

export function isBegun(code: number): boolean {
  return !NOT_BEGUN.has(code)
}

/** Ends a transaction: what is to be done about it, and what the caller hears. */
export class TransactionFailure extends LogError {
  readonly verdict: Exclude<Verdict, 'retry'>

  constructor(verdict: Exclude<Verdict, 'retry'>, error: LogError) {
    super(error.code, error.message, {
      retriable: error.retriable,
      cause: error.cause,
      ...(error.at !== undefined && { at: error.at }),
    })
    this.verdict = verdict
  }
}

/** A code that does not say "retry". */
export function failureOf(
  step: Step,
  code: number,
  where: string,
  options: Parameters<typeof kafkaError>[2] = {},
): TransactionFailure {
  const verdict = verdictOf(step, code)
  return new TransactionFailure(
    verdict === 'retry' ? 'abort' : verdict,
    kafkaError(code, where, options),
  )
}
