/**
 * Everything that processing has changed and no commit has taken yet: store writes, outputs, journal, times.
 *
 * Invariant: `rollback` leaves all of it as it was at the last `savepoint` (R15), except the journal, which is only written
 * once something has succeeded.
 */
import type { TaskStore } from '#state'
import type { PipelineApi } from '#topology'
import type { JournalWriter } from './journal.ts'
import type { TaskCollector } from './record-collector.ts'
import type { UpstreamTimes } from './upstream-times.ts'

/** A journal record stays well below what a batch takes: between two looks it grows. */
const JOURNAL_BYTES_MAX = 400_000
const JOURNAL_SHARE = 0.4

export interface OpenLayerParts {
  readonly pipeline: PipelineApi
  readonly collector: TaskCollector
  readonly journal: JournalWriter
  readonly upstreams: readonly UpstreamTimes[]
  readonly stores: readonly TaskStore[]
  readonly bytesMax: number
  /** The largest batch of the journal's topic. */
  readonly journalBatchBytesMax: number
}

export class OpenLayer {
  readonly #pipeline: PipelineApi
  readonly #collector: TaskCollector
  readonly #journal: JournalWriter
  readonly #upstreams: readonly UpstreamTimes[]
  readonly #stores: readonly TaskStore[]
  readonly #bytesMax: number
  readonly #journalBytesMax: number
  /** Memory of the stores right after the layer was opened: what came since is the layer. */
  #storeBytesAtOpen: number = 0
  #streamTimeAtSavepointMs: number = -1

  constructor(parts: OpenLayerParts) {
    const { pipeline, collector, journal, upstreams, stores, bytesMax } = parts
    this.#pipeline = pipeline
    this.#collector = collector
    this.#journal = journal
    this.#upstreams = upstreams
    this.#stores = stores
    this.#bytesMax = bytesMax
    this.#journalBytesMax = Math.min(JOURNAL_BYTES_MAX, parts.journalBatchBytesMax * JOURNAL_SHARE)
  }

  /** A fresh layer, over inputs at these positions. */
  open(positions: readonly number[]): void {
    this.#journal.open(positions)
    this.#storeBytesAtOpen = this.#storeBytes()
  }

  /** The layer below is committed and applied: what the stores then let go of was not this layer's (R4). */
  release(): void {
    const bytesBefore = this.#storeBytes()
    for (const store of this.#stores) store.release()
    this.#storeBytesAtOpen += this.#storeBytes() - bytesBefore
  }

  get isFull(): boolean {
    const storeBytes = this.#storeBytes() - this.#storeBytesAtOpen
    if (storeBytes + this.#collector.bytes > this.#bytesMax) return true
    return this.#journal.bytes > this.#journalBytesMax
  }

  savepoint(): void {
    this.#streamTimeAtSavepointMs = this.#pipeline.streamTimeMs
    this.#pipeline.savepoint()
    this.#collector.savepoint()
    const upstreams = this.#upstreams
    for (let n = 0; n < upstreams.length; n++) (upstreams[n] as UpstreamTimes).savepoint()
    const stores = this.#stores
    for (let n = 0; n < stores.length; n++) (stores[n] as TaskStore).savepoint()
  }

  rollback(): void {
    this.#pipeline.rollback()
    this.#collector.rollback()
    for (const upstream of this.#upstreams) upstream.rollback()
    for (const store of this.#stores) store.rollback()
    this.#pipeline.streamTimeMs = this.#streamTimeAtSavepointMs
  }

  #storeBytes(): number {
    let bytes = 0
    for (const store of this.#stores) bytes += store.memoryBytes
    return bytes
  }
}
