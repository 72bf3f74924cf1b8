/**
 * `idle: { after }`: whether another application has committed all of its own inputs, so that its silence is not that of an
 * application which is stopped or behind.
 *
 * Asked of the log in the background. An answer holds for one question only if every input of the asking task was fetched after
 * the check began: what the other application wrote for what it had committed then has been seen.
 *
 * Invariant: in doubt the answer is no, and a tick waits.
 */
import type { Log } from '#log'
import type { Clock } from '#system'
import { endsOf, hasCommitted, placesOf } from './committed-inputs.ts'
import { readApplicationTopics } from './topology-record.ts'

/** An older answer is not used, however recent the fetches: what has been appended since may be long ago. */
const FRESH_MS = 1_000

interface Answer {
  readonly startedMs: number
  readonly isCaughtUp: boolean
}

export class IdleGate {
  readonly #log: Log
  readonly #clock: Clock
  /** Called when an answer has come that may let a tick pass. */
  readonly #onAnswer: () => void
  readonly #answers = new Map<string, Answer>()
  readonly #asking = new Set<string>()

  constructor(log: Log, clock: Clock, onAnswer: () => void) {
    this.#log = log
    this.#clock = clock
    this.#onAnswer = onAnswer
  }

  /** `fetchedAtMs`: when the least recently fetched input of the asking task was fetched. */
  mayTick(applicationId: string, fetchedAtMs: number): boolean {
    const nowMs = this.#clock.elapsedMs()
    const answer = this.#answers.get(applicationId)
    const isFresh = answer !== undefined && nowMs - answer.startedMs <= FRESH_MS
    if (isFresh && answer.isCaughtUp && answer.startedMs <= fetchedAtMs) return true
    // A fresh no is kept for a while, and a fresh yes waits for the next fetch.
    if (!isFresh) this.#ask(applicationId, nowMs)
    return false
  }

  #ask(applicationId: string, startedMs: number): void {
    if (this.#asking.has(applicationId)) return
    this.#asking.add(applicationId)
    hasCommittedAll(this.#log, applicationId)
      // A log that is away has not said yes.
      .catch(() => false)
      .then((isCaughtUp) => {
        this.#asking.delete(applicationId)
        this.#answers.set(applicationId, { startedMs, isCaughtUp })
        if (isCaughtUp) this.#onAnswer()
      })
  }
}

async function hasCommittedAll(log: Log, applicationId: string): Promise<boolean> {
  const topics = await readApplicationTopics(log, applicationId)
  const places = topics && (await placesOf(log, topics.inputs))
  if (places === undefined) return false
  // Ends first: what is appended in between must not look committed.
  const ends = await endsOf(log, places)
  if (!(await hasCommitted(log, applicationId, places, ends))) return false
  // And again: a commit in between may have moved a record from an input that then counts as read to one that counted as empty.
  const endsAfter = await endsOf(log, places)
  return ends.every((end, index) => end === endsAfter[index])
}
