/**
 * A log that gives nothing of one partition until it is let go: how one partition falls behind the others.
 *
 * Invariant: nothing is lost or reordered by it, and what is held has not been fetched, so it is no silence (R9).
 */
import { DelegatingLog, type Log, type LogReader, type TopicPartition } from '#millrace'

export class HoldingLog extends DelegatingLog {
  readonly #held: TopicPartition
  readonly #readers: LogReader[] = []
  #isHeld = true

  constructor(log: Log, held: TopicPartition) {
    super(log)
    this.#held = held
  }

  letGo(): void {
    this.#isHeld = false
    for (const reader of this.#readers) {
      reader.resume(this.#held)
      reader.wake()
    }
  }

  override reader(options?: Parameters<DelegatingLog['reader']>[0]): LogReader {
    const reader = this.log.reader(options)
    let isMine = false
    const isHeld = ({ topic, partition }: TopicPartition): boolean =>
      this.#isHeld && topic === this.#held.topic && partition === this.#held.partition
    const holding: LogReader = {
      assign: (positions) => {
        reader.assign(positions)
        const mine = positions.find(isHeld)
        if (mine !== undefined) reader.pause(mine)
        if (mine !== undefined && !isMine) this.#readers.push(reader)
        isMine ||= mine !== undefined
      },
      poll: (asked) => reader.poll(asked),
      wake: () => reader.wake(),
      pause: (place) => reader.pause(place),
      resume: (place) => {
        if (!isHeld(place)) reader.resume(place)
      },
      progress: (place) => reader.progress(place),
      close: () => reader.close(),
    }
    return holding
  }
}
