/**
 * Retention, compaction and sweeping, in the background of the thread that owns the log.
 *
 * Invariant: one round at a time; between two steps of it everybody else gets their turn, and more of it than maintenance.
 */
import { type CancelTimer, type Clock, delay, type Failpoint, type Random } from '#system'

import { LogError } from '../log.ts'
import type { PartitionEntry } from './catalog.ts'
import { compact, type CompactionTools } from './compaction.ts'
import type { ReadHandle } from './read-handle.ts'
import { orphans, removeBelow, retain } from './retention.ts'
import type { WriteChannel } from './write-channel.ts'

/** In the background a step is followed by a rest of this many times its own length. */
const REST_SHARE = 3

export class Maintenance {
  readonly #handle: ReadHandle
  readonly #channel: WriteChannel
  readonly #clock: Clock
  readonly #random: Random
  readonly #failpoint: Failpoint
  readonly #intervalMs: number
  readonly #closing: AbortController = new AbortController()
  #round: Promise<void> = Promise.resolve()
  #cancelTimer: CancelTimer = () => {}
  #restedAtMs: number = 0

  constructor(
    handle: ReadHandle,
    channel: WriteChannel,
    options: {
      readonly random: Random
      readonly failpoint: Failpoint
      readonly intervalMs: number
    },
  ) {
    this.#handle = handle
    this.#channel = channel
    this.#clock = handle.clock
    this.#random = options.random
    this.#failpoint = options.failpoint
    this.#intervalMs = options.intervalMs
  }

  start(): void {
    // Processes that were started together should not all look at the same moment.
    const waitMs = this.#intervalMs * (0.5 + this.#random.next())
    this.#cancelTimer = this.#clock.after(waitMs, () => {
      void this.#queue(false).then(() => {
        if (!this.#closing.signal.aborted) this.start()
      })
    })
  }

  /** Does all that can be done now. */
  settle(): Promise<void> {
    return this.#queue(true)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancelTimer()
    await this.#round.catch(() => {})
  }

  #queue(force: boolean): Promise<void> {
    const before = this.#round.catch(() => {})
    this.#round = before.then(() => this.#run(force))
    // In the background an error is not the end: the next round tries again, and who reads the log meets it too.
    return force ? this.#round : this.#round.catch(() => {})
  }

  async #run(force: boolean): Promise<void> {
    const tools = {
      handle: this.#handle,
      channel: this.#channel,
      failpoint: this.#failpoint,
      rest: () => this.#rest(force),
      force,
    }
    this.#restedAtMs = this.#clock.elapsedMs()
    for (const place of await orphans(this.#handle)) {
      await removeBelow(place, Number.POSITIVE_INFINITY, tools)
    }
    const topics = await this.#handle.readSoon(() => this.#handle.catalog.topics())
    for (const { entries } of topics) {
      for (const entry of entries) {
        if (this.#closing.signal.aborted) return
        await this.#maintain(entry, tools)
      }
    }
  }

  async #maintain(entry: PartitionEntry, tools: CompactionTools): Promise<void> {
    try {
      if (entry.settings.deletes) await retain(entry, tools)
      const now = await this.#current(entry)
      if (now === undefined) return
      await removeBelow(now, now.earliestOffset, tools)
      if (!entry.settings.compacts) return
      // Twice, so that a tombstone of no retention goes in the round in which it was met.
      for (let runs = 0, done = false; runs < 2 || !done; runs += 1) {
        const next = await this.#current(entry)
        if (next === undefined || this.#closing.signal.aborted) return
        done = await compact(next, tools)
      }
    } catch (error) {
      // A damaged batch, or a topic deleted meanwhile, stops the maintenance of its partition, not that of the others.
      const isOfPartition = error instanceof LogError && error.at !== undefined
      if (!isOfPartition) throw error
    }
  }

  #current({ topic, topicNumber, partition }: PartitionEntry): Promise<PartitionEntry | undefined> {
    return this.#handle.readSoon(() => {
      const entry = this.#handle.catalog.topic(topic)?.entries[partition]
      return entry?.topicNumber === topicNumber ? entry : undefined
    })
  }

  async #rest(force: boolean): Promise<void> {
    const workedMs = this.#clock.elapsedMs() - this.#restedAtMs
    if (force) await this.#clock.turn()
    else await delay(this.#clock, workedMs * REST_SHARE, this.#closing.signal)
    if (this.#closing.signal.aborted) throw new LogError('LOG_CLOSED', 'the log is closed')
    this.#restedAtMs = this.#clock.elapsedMs()
  }
}
