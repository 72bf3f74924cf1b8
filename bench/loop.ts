/**
 * The baseline: the loop that somebody would write by hand, with no engine. It reads the same log, uses the same record codec,
 * writes the same output and changelog records, and commits as often; what it keeps, it keeps in Maps and a Set.
 *
 * It has no restore, no undo, no late records, no expiry and no second input: that is what the engine is compared without.
 */
import {
  RecordBatchWriter,
  RecordCursor,
  type Append,
  type Encodes,
  type Log,
  type LogReader,
  type LogWriter,
  type TopicPartition,
} from '#log'

const FETCH_BYTES_MAX = 4 * 1024 * 1024
const SPLIT_BYTES = 500_000

/** Where a loop's records go. */
export interface LoopAdds {
  add<K, V>(timestampMs: number, key: K, keyAs: Encodes<K>, value: V, valueAs: Encodes<V>): void
}

/** What a loop does with one record, and what it has changed since the last commit. */
export interface LoopBody {
  record(key: string, value: unknown, timestampMs: number, output: LoopAdds): void
  /** Writes every entry that was changed, once, to the changelog that is called `store`. */
  changelog(output: (store: string) => LoopAdds): void
}

export interface LoopOptions {
  readonly groupId: string
  readonly input: TopicPartition
  readonly output: TopicPartition
  /** By store. */
  readonly changelogs: ReadonlyMap<string, TopicPartition>
  readonly body: LoopBody
}

export const text: Encodes<string> = { write: (value, target) => target.utf8(value) }
export const jsonText: Encodes<object> = {
  write: (value, target) => target.utf8(JSON.stringify(value)),
}
export const int64: Encodes<number> = { write: (value, target) => target.int64(value) }

/** Records for one partition, in batches of half a megabyte at most. */
export class LoopOutput implements LoopAdds {
  readonly #place: TopicPartition
  readonly #writer: RecordBatchWriter = new RecordBatchWriter()
  #appends: Append[] = []

  constructor(place: TopicPartition) {
    this.#place = place
  }

  add<K, V>(timestampMs: number, key: K, keyAs: Encodes<K>, value: V, valueAs: Encodes<V>): void {
    this.#writer.addWith(timestampMs, key, keyAs, value, valueAs, [])
    if (this.#writer.sizeBytes >= SPLIT_BYTES) this.#finish()
  }

  take(): readonly Append[] {
    if (this.#writer.count > 0) this.#finish()
    const appends = this.#appends
    this.#appends = []
    return appends
  }

  #finish(): void {
    const { topic, partition } = this.#place
    const { count } = this.#writer
    this.#appends.push({ topic, partition, bytes: this.#writer.finish(), count })
  }
}

export class Loop {
  readonly #options: LoopOptions
  readonly #reader: LogReader
  readonly #writer: LogWriter
  readonly #output: LoopOutput
  readonly #changelogs: ReadonlyMap<string, LoopOutput>

  private constructor(log: Log, writer: LogWriter, options: LoopOptions) {
    this.#options = options
    this.#reader = log.reader()
    this.#writer = writer
    this.#output = new LoopOutput(options.output)
    const { changelogs } = options
    this.#changelogs = new Map([...changelogs].map(([store, at]) => [store, new LoopOutput(at)]))
    this.#reader.assign([{ ...options.input, position: 0 }])
  }

  static async start(log: Log, options: LoopOptions): Promise<Loop> {
    return new Loop(log, await log.writer({ transactionalId: options.groupId }), options)
  }

  /** Reads, works and commits until the input is committed up to `endOffset`. */
  async run(endOffset: number, commitRecords: number): Promise<void> {
    const { body } = this.#options
    const cursor = new RecordCursor()
    let position = 0
    let uncommitted = 0
    while (position < endOffset) {
      for (const batch of await this.#reader.poll({ waitMs: 1_000, bytesMax: FETCH_BYTES_MAX })) {
        cursor.open(batch.bytes, batch)
        while (cursor.next()) {
          const { buffer } = cursor
          const key = buffer.utf8Slice(cursor.keyStart, cursor.keyEnd)
          const value: unknown = JSON.parse(buffer.utf8Slice(cursor.valueStart, cursor.valueEnd))
          body.record(key, value, cursor.timestampMs, this.#output)
          uncommitted += 1
          if (uncommitted < commitRecords) continue
          await this.#commit(cursor.offset + 1)
          uncommitted = 0
        }
        position = batch.nextOffset
      }
    }
    if (uncommitted > 0) await this.#commit(position)
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#writer.close()
  }

  async #commit(offset: number): Promise<void> {
    const { groupId, input, body } = this.#options
    body.changelog((store) => this.#changelog(store))
    const changes = [...this.#changelogs.values()].flatMap((changelog) => changelog.take())
    const result = await this.#writer.commit({
      appends: [...this.#output.take(), ...changes],
      groupId,
      member: undefined,
      offsets: [{ ...input, offset, metadata: '' }],
    })
    if (result.outcome !== 'committed') throw result.error
  }

  #changelog(store: string): LoopOutput {
    const changelog = this.#changelogs.get(store)
    if (changelog === undefined) throw new Error(`there is no changelog for ${store}`)
    return changelog
  }
}
