/**
 * `idle: { after }`: whether another application has committed all of its own inputs, so that its silence is not that of an
 * application which is stopped or behind.
 *
 * Asked of the log in the background. An answer holds for one question only if every input of the asking task was fetched after
 * the check began: what the other application wrote for what it had committed then has been seen.
 *
 * Invariant: in doubt the answer is no, and a tick waits.
 */
import { partitionKey, type Log, type TopicPartition } from '#log'
import type { Clock } from '#system'
import { readApplicationTopics } from './topology-record.ts'

/** An older answer is not used, however recent the fetches: what has been appended since may be long ago. */
const FRESH_MS = 1_000
const PROBE_MS = 50
const PROBE_BYTES = 65_536

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
  if (topics === undefined) return false
  const described = await log.describeTopics(topics.inputs)
  if (described.length < topics.inputs.length) return false
  const places = described.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition): TopicPartition => ({ topic, partition })),
  )
  // Ends first: what is appended in between must not look committed.
  const ends = await endsOf(log, places)
  const committed = await log.committedOffsets(applicationId, places)
  // And again: a commit in between may have moved a record from an input that then counts as read to one that counted as empty.
  const endsAfter = await endsOf(log, places)
  if (ends.some((end, index) => end !== endsAfter[index])) return false
  for (const [index, place] of places.entries()) {
    const end = ends[index] ?? 0
    const offset = committed.get(partitionKey(place))?.offset ?? (await log.earliestOffset(place))
    if (offset < end && !(await holdsNoRecord(log, place, offset, end))) return false
  }
  return true
}

function endsOf(log: Log, places: readonly TopicPartition[]): Promise<number[]> {
  return Promise.all(places.map((place) => log.endOffset(place, 'read-uncommitted')))
}

/** Control records and aborted ones are never committed by anybody, and are nothing to wait for. */
async function holdsNoRecord(
  log: Log,
  place: TopicPartition,
  from: number,
  end: number,
): Promise<boolean> {
  const reader = log.reader()
  try {
    reader.assign([{ ...place, position: from }])
    const batches = await reader.poll({ waitMs: PROBE_MS, bytesMax: PROBE_BYTES })
    return batches.length === 0 && (reader.progress(place)?.position ?? from) >= end
  } finally {
    await reader.close()
  }
}
