/**
 * Reads partitions of the simulated broker: asks, and if there is nothing asks again when something has changed.
 *
 * Invariant: a position moves only over what was returned, or over offsets that hold nothing for this reader.
 */
import {
  LogError,
  partitionKey,
  type FetchedBatch,
  type FetchProgress,
  type Isolation,
  type LogReader,
  type TopicPartition,
} from '#log'
import type { Broker } from './broker.ts'
import type { PartitionRead } from './broker-partition.ts'
import type { Network } from './network.ts'
import type { SimulatedProcess } from './simulated-process.ts'

interface Assigned extends TopicPartition {
  position: number
  highWatermark: number
  lastStableOffset: number
  fetchedAtMs: number
  paused: boolean
}

interface Fetched {
  readonly assigned: Assigned
  readonly from: number
  readonly read: PartitionRead
}

export class SimulatedReader implements LogReader {
  readonly #broker: Broker
  readonly #network: Network
  readonly #process: SimulatedProcess
  readonly #isolation: Isolation
  #assigned: ReadonlyMap<string, Assigned> = new Map()
  #isWoken: boolean = false
  #endWait: (() => void) | undefined
  #isClosed: boolean = false

  constructor(broker: Broker, network: Network, process: SimulatedProcess, isolation: Isolation) {
    this.#broker = broker
    this.#network = network
    this.#process = process
    this.#isolation = isolation
  }

  assign(positions: readonly (TopicPartition & { readonly position: number })[]): void {
    const before = this.#assigned
    const assigned = new Map<string, Assigned>()
    for (const { topic, partition, position } of positions) {
      const key = partitionKey({ topic, partition })
      const known = before.get(key)
      const fresh = {
        topic,
        partition,
        position,
        highWatermark: -1,
        lastStableOffset: -1,
        fetchedAtMs: -1,
        paused: false,
      }
      assigned.set(key, known?.position === position ? known : fresh)
    }
    this.#assigned = assigned
    this.#endWait?.()
  }

  async poll({
    waitMs,
    bytesMax,
  }: {
    readonly waitMs: number
    readonly bytesMax: number
  }): Promise<readonly FetchedBatch[]> {
    const { clock } = this.#process
    const deadlineMs = clock.elapsedMs() + waitMs
    for (;;) {
      this.#assertOpen()
      // Listened for before it is asked, or a change in between would be missed.
      const change = this.#broker.changed()
      const batches = this.#take(await this.#fetch(bytesMax))
      this.#assertOpen()
      if (batches.length > 0) return batches
      const leftMs = deadlineMs - clock.elapsedMs()
      if (this.#isWoken || leftMs <= 0) {
        this.#isWoken = false
        return batches
      }
      await this.#wait(leftMs, change)
    }
  }

  wake(): void {
    this.#isWoken = true
    this.#endWait?.()
  }

  pause(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned !== undefined) assigned.paused = true
  }

  resume(partition: TopicPartition): void {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned === undefined || !assigned.paused) return
    assigned.paused = false
    this.#endWait?.()
  }

  progress(partition: TopicPartition): FetchProgress | undefined {
    const assigned = this.#assigned.get(partitionKey(partition))
    if (assigned === undefined) return undefined
    const { position, highWatermark, lastStableOffset, fetchedAtMs } = assigned
    return { position, highWatermark, lastStableOffset, fetchedAtMs }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#endWait?.()
  }

  async #fetch(bytesMax: number): Promise<readonly Fetched[]> {
    const wanted = [...this.#assigned.values()].filter(({ paused }) => !paused)
    if (wanted.length === 0) return []
    const asked = wanted.map((assigned) => ({ assigned, from: assigned.position }))
    return this.#network.call(this.#process, 'fetch', () =>
      asked.map(({ assigned, from }) => ({
        assigned,
        from,
        read: this.#broker.partition(assigned).read(from, this.#isolation, bytesMax),
      })),
    )
  }

  /** What was assigned anew or paused meanwhile is fetched again. */
  #take(fetched: readonly Fetched[]): readonly FetchedBatch[] {
    const batches: FetchedBatch[] = []
    for (const { assigned, from, read } of fetched) {
      const { topic, partition } = assigned
      const isCurrent = this.#assigned.get(partitionKey(assigned)) === assigned
      if (!isCurrent || assigned.position !== from || assigned.paused) continue
      assigned.position = read.position
      assigned.highWatermark = read.highWatermark
      assigned.lastStableOffset = read.lastStableOffset
      assigned.fetchedAtMs = this.#process.clock.elapsedMs()
      for (const { bytes, baseOffset, nextOffset } of read.entries) {
        if (bytes !== undefined) batches.push({ topic, partition, bytes, baseOffset, nextOffset })
      }
    }
    return batches
  }

  #wait(waitMs: number, change: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        if (this.#endWait !== end) return
        cancel()
        this.#endWait = undefined
        resolve()
      }
      const cancel = this.#process.after(waitMs, 'poll timeout', end)
      this.#endWait = end
      void change.then(() => {
        if (this.#endWait === end) this.#process.after(0, 'fetch again', end)
      })
    })
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LogError('LOG_CLOSED', 'the reader is closed')
  }
}
