/**
 * Campus's applications in this process: each can be stopped and started apart from the others.
 *
 * Invariant: at most one `Streams` an application runs here; a start or stop waits for the one before it.
 */
import { Streams, type StreamsOptions, type StreamsState, type TopologySource } from '#millrace'

/** What this process runs of an application, and how much there is. */
export interface Share {
  readonly tasks: readonly string[]
  readonly standbys: readonly string[]
  readonly tasksOfAll: number
  /** Since the start of the process. */
  readonly restoredRecords: number
}

export class Applications {
  readonly #sources: ReadonlyMap<string, TopologySource>
  readonly #options: StreamsOptions
  readonly #running = new Map<string, Streams>()
  /** The last handle of each, running or not: what a stopped application has not done yet is lag too. */
  readonly #latest = new Map<string, Streams>()
  readonly #last = new Map<string, Promise<void>>()

  /** `sources`: by application id, those that this process runs. */
  constructor(sources: ReadonlyMap<string, TopologySource>, options: StreamsOptions) {
    this.#sources = sources
    this.#options = options
  }

  get ids(): readonly string[] {
    return [...this.#sources.keys()]
  }

  running(id: string): Streams | undefined {
    return this.#running.get(id)
  }

  state(id: string): StreamsState | 'stopped' {
    return this.#running.get(id)?.state ?? 'stopped'
  }

  share(id: string): Share {
    const streams = this.#running.get(id)
    if (streams === undefined) return { tasks: [], standbys: [], tasksOfAll: 0, restoredRecords: 0 }
    const { tasks, restores, restoredRecords } = streams.metrics
    const standbys = restores.filter(({ mode }) => mode === 'standby')
    return {
      tasks: tasks.map(({ taskId }) => taskId).sort(),
      standbys: [...new Set(standbys.map(({ taskId }) => taskId))].sort(),
      tasksOfAll: streams.taskIds.length,
      restoredRecords,
    }
  }

  async startAll(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.start(id)))
  }

  start(id: string): Promise<void> {
    return this.#after(id, async () => {
      const source = this.#sources.get(id)
      if (source === undefined || this.#running.has(id)) return
      const streams = new Streams(source, this.#options)
      await streams.start()
      this.#running.set(id, streams)
      this.#latest.set(id, streams)
    })
  }

  stop(id: string): Promise<void> {
    return this.#after(id, async () => {
      const streams = this.#running.get(id)
      this.#running.delete(id)
      await streams?.close()
    })
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.stop(id)))
  }

  /** Records that an application has still to process, also while it is stopped; 0 for one that is not of this process. */
  async lag(id: string): Promise<number> {
    const lags = (await this.#latest.get(id)?.lag()) ?? []
    return lags.reduce((sum, { lagRecords }) => sum + lagRecords, 0)
  }

  #after(id: string, step: () => Promise<void>): Promise<void> {
    const next = (this.#last.get(id) ?? Promise.resolve()).then(step)
    // The next step goes on whether or not this one failed; its own caller hears of the failure.
    this.#last.set(
      id,
      next.catch(() => {}),
    )
    return next
  }
}
