/**
 * Brings records to the target: each commit holds a few megabytes of them and the ledger's word of it.
 *
 * Invariant: a record and its entry in the ledger are committed together or not at all, and nobody but the newest migration can
 * commit.
 */
import {
  LogError,
  partitionKey,
  type Append,
  type Appended,
  type Log,
  type LogWriter,
  type OffsetCommit,
  type TopicPartition,
} from '#log'
import type { Clock, Failpoint } from '#system'
import { ChunkBuilder } from './chunk-builder.ts'
import { settle, type Ledger, type LedgerEntry } from './ledger.ts'
import { MigrationError } from './migration-error.ts'
import { PartitionRecords } from './partition-records.ts'
import type { Translate } from './translate.ts'

const COMMIT_BYTES_MAX = 4 << 20
/** So that what the ledger is told of one commit fits into a batch. */
const COMMIT_RUNS_MAX = 20_000

export interface CopierSetup {
  readonly source: Log
  readonly writer: LogWriter
  readonly ledger: Ledger
  readonly clock: Clock
  readonly failpoint: Failpoint
  /** `records` of a topic were committed. */
  readonly onRecords: (topic: string, records: number) => void
}

export class Copier {
  /** Where each partition of the source ended when it was copied. */
  readonly ends: Map<string, number> = new Map()
  readonly #setup: CopierSetup
  readonly #chunks: Map<string, ChunkBuilder> = new Map()
  /** Of chunks that are not the open one. */
  #bytes = 0
  #runs = 0

  constructor(setup: CopierSetup) {
    this.#setup = setup
  }

  /** What is committed when this resolves is not all: see `flush`. */
  async copyPartition(
    place: TopicPartition,
    translate: Translate,
    batchBytesMax: number,
  ): Promise<void> {
    const { source, ledger } = this.#setup
    const records = await PartitionRecords.open(source, place, ledger.partition(place)?.next ?? 0)
    this.ends.set(partitionKey(place), records.end)
    try {
      let chunk = this.#begin(place, batchBytesMax)
      for (;;) {
        const next = records.next()
        if (!(next === true || (await next))) break
        chunk.add(records.cursor, translate(records.cursor), records.compression)
        const isFull =
          this.#bytes + chunk.sizeBytes >= COMMIT_BYTES_MAX ||
          this.#runs + chunk.runs.length >= COMMIT_RUNS_MAX
        if (!isFull) continue
        await this.flush()
        chunk = this.#begin(place, batchBytesMax)
      }
      this.#bytes += chunk.sizeBytes
      this.#runs += chunk.runs.length
    } finally {
      await records.close()
    }
  }

  /** Commits what has been read so far. */
  async flush(): Promise<void> {
    const { ledger, failpoint, onRecords } = this.#setup
    const chunks = [...this.#chunks.values()].filter(({ runs }) => runs.length > 0)
    this.#chunks.clear()
    this.#bytes = 0
    this.#runs = 0
    if (chunks.length === 0) return
    const entries = chunks.map(({ place, runs }): LedgerEntry => {
      const previousBase = ledger.partition(place)?.base ?? null
      return { kind: 'chunk', ...place, runs, previousBase }
    })
    const appends = chunks.map((chunk) => chunk.finish())
    failpoint('migration:before-commit')
    const appended = await this.#commit(appends, entries)
    failpoint('migration:after-commit')
    for (const [index, { place }] of chunks.entries()) {
      const entry = entries[index]
      const progress = ledger.partition(place)
      const { baseOffset, count } = appended[index] ?? { baseOffset: 0, count: 0 }
      if (entry === undefined || progress === undefined) continue
      ledger.apply(entry)
      settle(progress, baseOffset)
      onRecords(place.topic, count)
    }
  }

  /** Only tells the ledger. */
  async note(entries: readonly LedgerEntry[]): Promise<void> {
    if (entries.length === 0) return
    await this.#commit([], entries)
    for (const entry of entries) this.#setup.ledger.apply(entry)
  }

  async commitGroup(groupId: string, offsets: readonly OffsetCommit[]): Promise<void> {
    const entry: LedgerEntry = { kind: 'group', groupId }
    await this.#commit([], [entry], { groupId, offsets })
    this.#setup.ledger.apply(entry)
    this.#setup.failpoint('migration:group')
  }

  #begin(place: TopicPartition, batchBytesMax: number): ChunkBuilder {
    const chunk = new ChunkBuilder(place, batchBytesMax)
    this.#chunks.set(partitionKey(place), chunk)
    return chunk
  }

  async #commit(
    appends: readonly Append[],
    entries: readonly LedgerEntry[],
    group?: { readonly groupId: string; readonly offsets: readonly OffsetCommit[] },
  ): Promise<readonly Appended[]> {
    const { writer, ledger, clock } = this.#setup
    const result = await writer.commit({
      appends: [...appends, ledger.append(entries, clock.nowMs())],
      groupId: group?.groupId,
      member: undefined,
      offsets: group?.offsets ?? [],
    })
    if (result.outcome === 'committed') return result.appended
    const { outcome, error } = result
    if (outcome === 'aborted' && !(error instanceof LogError && error.retriable)) throw error
    const message = `the target did not say whether a commit was done: run the same command again`
    throw new MigrationError('INTERRUPTED', message, { cause: error })
  }
}
