/**
 * The inputs of one task, and which of them goes next: lowest head timestamp, ties by the order of the inputs (T1).
 *
 * Invariant: nothing is taken while another input that is below its high watermark has no head (T7, design section 7), so
 * what is chosen depends on the data as soon as it is all there.
 */
import type { ProgressOf } from './task-contract.ts'
import type { RecordQueue } from './record-queue.ts'

export class PartitionGroup {
  readonly queues: readonly RecordQueue[]
  /** Inputs found at their high watermark since `look`: nothing arrives while the task runs. */
  readonly #caughtUp: boolean[]

  constructor(queues: readonly RecordQueue[]) {
    this.queues = queues
    this.#caughtUp = queues.map(() => false)
  }

  /** Forgets what was found about empty inputs: batches may have arrived. */
  look(): void {
    this.#caughtUp.fill(false)
  }

  /** The queue whose head goes next, or why there is none. */
  next(progressOf: ProgressOf): RecordQueue | 'empty' | 'waiting-for-input' {
    const { queues } = this
    if (queues.length === 1) {
      const only = queues[0] as RecordQueue
      return only.hasHead || only.advance() ? only : 'empty'
    }
    let best: RecordQueue | undefined
    let isWaiting = false
    for (let n = 0; n < queues.length; n++) {
      const queue = queues[n] as RecordQueue
      if (!queue.hasHead && !queue.advance()) {
        if (!isWaiting) isWaiting = !this.#isCaughtUp(queue, progressOf)
      } else if (best === undefined || queue.timestampMs < best.timestampMs) {
        best = queue
      }
    }
    if (best === undefined) return 'empty'
    return isWaiting ? 'waiting-for-input' : best
  }

  /** Timestamp of the head that would go first if nothing had to be waited for; undefined if there is none. */
  get lowestTimestampMs(): number | undefined {
    const heads = this.queues.filter((queue) => queue.hasHead || queue.advance())
    return heads.length === 0 ? undefined : Math.min(...heads.map((head) => head.timestampMs))
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const queue of this.queues) bytes += queue.bufferedBytes
    return bytes
  }

  #isCaughtUp(queue: RecordQueue, progressOf: ProgressOf): boolean {
    if (this.#caughtUp[queue.index]) return true
    const progress = progressOf(queue.input)
    const isCaughtUp = progress !== undefined && progress.position >= progress.highWatermark
    this.#caughtUp[queue.index] = isCaughtUp
    return isCaughtUp
  }
}
