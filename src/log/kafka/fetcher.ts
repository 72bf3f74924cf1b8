/**
 * The reader of a Kafka log: batches that the brokers have given, read committed or not, in the order of each partition.
 *
 * Invariant: a partition's error is thrown once, after what came before it was taken, and stops nobody else.
 */
import { type FetchedBatch, type FetchProgress, LogError, type LogReader } from '../log.ts'
import { type Isolation, partitionKey, type TopicPartition } from '../log.ts'
import { BrokerFetches } from './broker-fetches.ts'
import type { Cluster } from './cluster.ts'
import { FetchPartition } from './fetch-partition.ts'

/** A caller that always finds something buffered lets the sockets be read at least this often. */
const TURN_MS = 4
/** So long after its last poll a caller counts as one that polls. */
const ASKED_MS = 100

export interface ReaderOptions {
  readonly isolation: Isolation
  readonly onClose?: () => void
  /** Of one partition in an answer; smaller, for tests. */
  readonly partitionBytesMax?: number
}

export function createReader(cluster: Cluster, options: ReaderOptions): LogReader {
  return new KafkaReader(cluster, options)
}

class KafkaReader implements LogReader {
  readonly #cluster: Cluster
  readonly #fetches: BrokerFetches
  readonly #onClose: (() => void) | undefined
  #assigned: ReadonlyMap<string, FetchPartition> = new Map()
  /** Whose turn it is at the next poll, so that no partition starves behind a full one. */
  #first: number = 0
  /** Of stopped partitions, to be thrown one a poll. */
  #errors: unknown[] = []
  /** How long the latest poll was ready to wait. */
  #waitMs: number = 0
  #polledAtMs: number = 0
  #turnedAtMs: number = 0
  #isWoken: boolean = false
  #isPolling: boolean = false
  #isClosed: boolean = false
  #endWait: (() => void) | undefined

  constructor(cluster: Cluster, options: ReaderOptions) {
    this.#cluster = cluster
    this.#onClose = options.onClose
    this.#fetches = new BrokerFetches({
      ...options,
      cluster,
      partitions: () => this.#assigned.values(),
      onChange: () => this.#endWait?.(),
      waitMs: () => (this.#isAsked() ? this.#waitMs : Infinity),
      onClosed: () => void this.close(),
    })
  }

  assign(positions: readonly (TopicPartition & { readonly position: number })[]): void {
    const assigned = new Map<string, FetchPartition>()
    const nowMs = this.#cluster.clock.elapsedMs()
    for (const { topic, partition, position } of positions) {
      const key = partitionKey({ topic, partition })
      const known = this.#assigned.get(key)
      const stays = known !== undefined && known.position === position && !known.isStopped
      assigned.set(key, stays ? known : new FetchPartition({ topic, partition }, position, nowMs))
    }
    this.#assigned = assigned
    this.#first = 0
    this.#errors = []
    this.#fetches.startRefreshing()
    this.#endWait?.()
    this.#fetches.pump()
  }

  async poll(options: {
    readonly waitMs: number
    readonly bytesMax: number
  }): Promise<readonly FetchedBatch[]> {
    this.#assertOpen()
    if (this.#isPolling) throw new LogError('LOG_MISUSE', 'a reader polls once at a time')
    this.#isPolling = true
    this.#waitMs = options.waitMs
    try {
      const { clock } = this.#cluster
      const deadlineMs = clock.elapsedMs() + options.waitMs
      await this.#turn(false)
      for (;;) {
        this.#assertOpen()
        this.#throwError()
        const batches = this.#take(options.bytesMax)
        if (batches.length > 0) return batches
        this.#throwError()
        const remainingMs = deadlineMs - clock.elapsedMs()
        if (this.#isWoken || remainingMs <= 0) {
          this.#isWoken = false
          // A caller that only ever asks in passing would otherwise keep the sockets from being read.
          await this.#turn(true)
          return this.#take(options.bytesMax)
        }
        // What has been paused since may give way to what is waited for.
        this.#fetches.pump()
        await this.#wait(remainingMs)
      }
    } finally {
      this.#isPolling = false
      this.#polledAtMs = this.#cluster.clock.elapsedMs()
    }
  }

  wake(): void {
    this.#isWoken = true
    this.#endWait?.()
  }

  pause(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned !== undefined) assigned.isPaused = true
  }

  resume(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned === undefined || !assigned.isPaused) return
    assigned.isPaused = false
    this.#endWait?.()
    this.#fetches.pump()
  }

  progress(partition: TopicPartition): FetchProgress | undefined {
    return this.#assigned.get(partitionKey(partition))?.progress
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#fetches.close()
    this.#onClose?.()
    this.#endWait?.()
  }

  #isAsked(): boolean {
    return this.#isPolling || this.#cluster.clock.elapsedMs() - this.#polledAtMs < ASKED_MS
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LogError('LOG_CLOSED', 'the reader is closed')
  }

  #throwError(): void {
    if (this.#errors.length > 0) throw this.#errors.shift()
  }

  async #turn(isDue: boolean): Promise<void> {
    const { clock } = this.#cluster
    if (!isDue && clock.elapsedMs() - this.#turnedAtMs < TURN_MS) return
    await clock.turn()
    this.#turnedAtMs = clock.elapsedMs()
  }

  /** Everybody gets an equal share first, so that heads of all partitions are there to be compared; then what is left. */
  #take(bytesMax: number): readonly FetchedBatch[] {
    const batches: FetchedBatch[] = []
    let open = [...this.#assigned.values()].filter(({ isPaused, isStopped }) => {
      return !isPaused && !isStopped
    })
    const first = open.length === 0 ? 0 : this.#first % open.length
    open = [...open.slice(first), ...open.slice(0, first)]
    this.#first = first + 1
    const share = Math.ceil(bytesMax / Math.max(1, open.length))
    let bytesLeft = bytesMax
    let hasMore = true
    while (hasMore && bytesLeft > 0) {
      hasMore = false
      for (const each of open) {
        if (bytesLeft <= 0) break
        const bytes = each.take(Math.min(share, bytesLeft), batches)
        bytesLeft -= bytes
        if (bytes > 0) hasMore = true
      }
    }
    for (const each of open) this.#stopFailed(each)
    if (batches.length > 0) this.#fetches.pump()
    return batches
  }

  #stopFailed(partition: FetchPartition): void {
    if (partition.error === undefined || !partition.isDrained) return
    this.#errors.push(partition.error)
    partition.error = undefined
    partition.isStopped = true
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelTimer()
        this.#endWait = undefined
        resolve()
      }
      const cancelTimer = this.#cluster.clock.after(waitMs, end)
      this.#endWait = end
    })
  }
}
