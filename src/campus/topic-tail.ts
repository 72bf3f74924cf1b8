/**
 * Follows a topic from an offset and hands each record's bytes to a listener: what pages and subscriptions are fed by.
 *
 * Invariant: records come in offset order per partition, committed ones only.
 */
import { RecordCursor, type Log, type LogReader, type RawRecord } from '#millrace'

const WAIT_MS = 1_000
const BYTES_MAX = 262_144

export class TopicTail {
  readonly #reader: LogReader
  readonly #done: Promise<void>
  #isClosed = false
  /** Set when reading failed; the listener then hears no more. */
  failure: unknown = undefined

  private constructor(reader: LogReader, listener: (record: RawRecord) => void) {
    this.#reader = reader
    this.#done = this.#follow(listener)
  }

  static async open(
    log: Log,
    topic: { readonly name: string; readonly partitions: number },
    from: 'beginning' | 'end',
    listener: (record: RawRecord) => void,
  ): Promise<TopicTail> {
    const places = Array.from({ length: topic.partitions }, (_, partition) => ({
      topic: topic.name,
      partition,
    }))
    const positions = await Promise.all(
      places.map(async (at) => {
        const position =
          from === 'end' ? await log.endOffset(at, 'read-committed') : await log.earliestOffset(at)
        return { ...at, position }
      }),
    )
    const reader = log.reader()
    reader.assign(positions)
    return new TopicTail(reader, listener)
  }

  async #follow(listener: (record: RawRecord) => void): Promise<void> {
    const cursor = new RecordCursor()
    try {
      while (!this.#isClosed) {
        const batches = await this.#reader.poll({ waitMs: WAIT_MS, bytesMax: BYTES_MAX })
        for (const batch of batches) {
          cursor.open(batch.bytes, batch)
          while (cursor.next()) listener(cursor)
        }
      }
    } catch (error) {
      if (!this.#isClosed) this.failure = error
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#reader.wake()
    await this.#done
    await this.#reader.close()
  }
}
