/**
 * What the processors of one pipeline share: where the record in hand came from, and what the task lends them.
 *
 * Invariant: while a record runs, this is its place (R1), or a buffered record's while suppress sends it; in a punctuator
 * there is no place (R4).
 */
import type { RecordHeaders } from '#log'
import type { PipelineEnvironment } from './pipeline-contract.ts'
import { Punctuations } from './punctuations.ts'
import { UndoLog } from './undo-log.ts'

const NO_HEADERS: RecordHeaders = []

export class RunContext {
  topic: string | null = null
  partition: number = -1
  offset: number = -1
  headers: RecordHeaders = NO_HEADERS
  /**
   * The node that was last about to run user code or a serde: what throws next is its doing. Set by each node before it does,
   * and again when its downstream returns to it.
   */
  node: string | undefined = undefined
  /** Time of the record that a user's processor looks at; what it puts into a store carries it. */
  timestampMs: number = -1
  /** The task's stream time; −1 at first. */
  streamTimeMs: number = -1
  /** Takes back the idleness of every sending node of the pipeline (R12): what one of them hears ends the quiet of its task. */
  announceReturn: () => boolean = () => false

  readonly environment: PipelineEnvironment
  readonly undoLog: UndoLog = new UndoLog()
  readonly punctuations: Punctuations

  constructor(environment: PipelineEnvironment) {
    this.environment = environment
    this.punctuations = new Punctuations(this.undoLog, (punctuate, nowMs) => {
      this.enterPunctuator(nowMs)
      punctuate(nowMs)
    })
  }

  enterRecord(
    topic: string | null,
    partition: number,
    offset: number,
    headers: RecordHeaders,
  ): void {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.headers = headers
  }

  enterPunctuator(nowMs: number): void {
    this.topic = null
    this.partition = -1
    this.offset = -1
    this.headers = NO_HEADERS
    this.timestampMs = nowMs
  }
}
