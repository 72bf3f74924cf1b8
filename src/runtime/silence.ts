/**
 * How long all inputs of a task have been silent (R9).
 *
 * Invariant: only time between successful fetches counts, and only while every input is at its high watermark with nothing
 * left to process: a broker that cannot be reached, or an open transaction upstream, is not silence.
 *
 * While the task does not run, the log itself bears witness: if it has nothing behind the committed positions, nothing came
 * from the last commit until then. That time is kept apart, because a wall clock measures it.
 */
import type { RecordQueue } from './record-queue.ts'
import type { ProgressOf } from './task-contract.ts'

/** Between two successful fetches further apart than this something was wrong: no more than this is counted. */
const FETCH_GAP_MAX_MS = 5_000

interface InputSilence {
  readonly queue: RecordQueue
  silentMs: number
  fetchedAtMs: number
  position: number
}

/** `heard`: a record has come since the last look. `behind`: one may be on its way. */
type Seen = 'silent' | 'heard' | 'behind'

export class Silence {
  readonly #inputs: readonly InputSilence[]
  readonly #wallClockMs: () => number
  /** How long the least silent input has been silent, up to its last fetch. */
  silentMs: number = 0
  /** What a silence had lasted already when the task began, from the last record on. */
  inheritedMs: number = 0
  /** When that record came, as long as it is open whether anything has come since. */
  #heardAtMs: number | undefined

  constructor(queues: readonly RecordQueue[], wallClockMs: () => number) {
    this.#inputs = queues.map((queue) => ({ queue, silentMs: 0, fetchedAtMs: -1, position: -1 }))
    this.#wallClockMs = wallClockMs
  }

  /** The last fetch that was looked at. */
  get fetchedAtMs(): number {
    return Math.max(...this.#inputs.map(({ fetchedAtMs }) => fetchedAtMs))
  }

  /** What was inherited and has not been confirmed yet. */
  get heardAtMs(): number | undefined {
    return this.#heardAtMs
  }

  /** The task begins at its committed positions, and had heard nothing since then. */
  inherit(heardAtMs: number): void {
    this.#heardAtMs = heardAtMs
    for (const input of this.#inputs) input.position = input.queue.position
  }

  /** Looks at what the last fetches saw; false if an input was not silent since the last look. */
  observe(progressOf: ProgressOf): boolean {
    let leastMs = Infinity
    const seen = new Set<Seen>()
    for (const input of this.#inputs) {
      seen.add(look(input, progressOf))
      leastMs = Math.min(leastMs, input.silentMs)
    }
    this.silentMs = leastMs
    if (seen.has('heard') || seen.has('behind')) this.inheritedMs = 0
    if (seen.has('heard')) this.#heardAtMs = undefined
    if (this.#heardAtMs !== undefined && !seen.has('behind')) {
      this.inheritedMs = Math.max(0, this.#wallClockMs() - this.#heardAtMs - leastMs)
      this.#heardAtMs = undefined
    }
    return leastMs > 0
  }
}

function look(input: InputSilence, progressOf: ProgressOf): Seen {
  const { queue } = input
  const progress = progressOf(queue.input)
  const hasMoved = input.position >= 0 && queue.position !== input.position
  let seen: Seen = 'silent'
  if (hasMoved || !queue.isEmpty) seen = 'heard'
  else if (progress === undefined || progress.position < progress.highWatermark) seen = 'behind'
  const fetchedAtMs = progress?.fetchedAtMs ?? -1
  const isSilent = seen === 'silent' && input.fetchedAtMs >= 0
  input.silentMs = isSilent
    ? input.silentMs + Math.min(fetchedAtMs - input.fetchedAtMs, FETCH_GAP_MAX_MS)
    : 0
  input.fetchedAtMs = fetchedAtMs
  input.position = queue.position
  return seen
}
