/** An application as people run it, with a way to wait until it has committed everything up to an offset. */
import { partitionKey, type Log, type TopicPartition } from '#log'
import { Streams, type StreamsOptions } from '#runtime'
import type { Topology } from '#topology'

export class Engine {
  readonly #log: Log
  readonly #applicationId: string
  readonly #streams: Streams
  #commits = 0
  #onCommit: () => void = () => {}

  private constructor(topology: Topology, options: StreamsOptions) {
    this.#log = options.log
    this.#applicationId = topology.applicationId
    this.#streams = new Streams(topology, {
      ...options,
      observer: (happening) => {
        if (happening.kind === 'failed') throw happening.error
        if (happening.kind === 'dead-letter') throw new Error(happening.error)
        if (happening.kind !== 'commit') return
        this.#commits += 1
        this.#onCommit()
      },
    })
  }

  static async start(topology: Topology, options: StreamsOptions): Promise<Engine> {
    const engine = new Engine(topology, options)
    await engine.#streams.start()
    return engine
  }

  /** How many commits there have been. */
  get commits(): number {
    return this.#commits
  }

  /** Resolves when the input is committed up to `endOffset`. */
  async committed(input: TopicPartition, endOffset: number): Promise<void> {
    while ((await this.#committedOffset(input)) < endOffset) {
      await new Promise<void>((resolve) => {
        this.#onCommit = resolve
      })
    }
  }

  async close(): Promise<void> {
    await this.#streams.close()
  }

  async #committedOffset(input: TopicPartition): Promise<number> {
    const offsets = await this.#log.committedOffsets(this.#applicationId, [input])
    return offsets.get(partitionKey(input))?.offset ?? 0
  }
}
