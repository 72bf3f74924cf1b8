/**
 * How long all inputs of a task have been silent (R9).
 *
 * Invariant: only time between successful fetches counts, and only while every input is at its high watermark with nothing
 * left to process: a broker that cannot be reached, or an open transaction upstream, is not silence.
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

export class Silence {
  readonly #inputs: readonly InputSilence[]
  /** How long the least silent input has been silent, up to its last fetch. */
  silentMs: number = 0

  constructor(queues: readonly RecordQueue[]) {
    this.#inputs = queues.map((queue) => ({ queue, silentMs: 0, fetchedAtMs: -1, position: -1 }))
  }

  /** The last fetch that was looked at. */
  get fetchedAtMs(): number {
    return Math.max(...this.#inputs.map(({ fetchedAtMs }) => fetchedAtMs))
  }

  /** Looks at what the last fetches saw; false if an input was not silent since the last look. */
  observe(progressOf: ProgressOf): boolean {
    let leastMs = Infinity
    for (const input of this.#inputs) leastMs = Math.min(leastMs, observeInput(input, progressOf))
    this.silentMs = leastMs
    return leastMs > 0
  }
}

function observeInput(input: InputSilence, progressOf: ProgressOf): number {
  const { queue } = input
  const progress = progressOf(queue.input)
  const isSilent =
    progress !== undefined &&
    input.fetchedAtMs >= 0 &&
    queue.isEmpty &&
    queue.position === input.position &&
    progress.position >= progress.highWatermark
  const fetchedAtMs = progress?.fetchedAtMs ?? -1
  input.silentMs = isSilent
    ? input.silentMs + Math.min(fetchedAtMs - input.fetchedAtMs, FETCH_GAP_MAX_MS)
    : 0
  input.fetchedAtMs = fetchedAtMs
  input.position = queue.position
  return input.silentMs
}
