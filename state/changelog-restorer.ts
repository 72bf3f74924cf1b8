/**
 * Turns restored changelog records into the rows that the live store would have written: the formats, the other way round.
 *
 * Invariant: applying what `take` answers, in order, leaves a backend from which the task store loads the same contents as
 * from the one that was lost.
 */
import { readInt64 } from '#system'
import { BUFFER_VALUE_VERSION } from './buffer-value.ts'
import { DedupeRestorer } from './dedupe-restorer.ts'
import { parseWindowStoreKey, WINDOW_SUFFIX_BYTES } from './row-format.ts'
import { restoredRows, type RestoredRows } from './restored-rows.ts'
import type { ChangelogRestorer, RestoredExpiry, RestoredRecord, RestoreSpec } from './restorer.ts'
import { StateError, type StateStore, type StoreChange } from './store.ts'
import { observedTimeNote, readObservedTime, WindowRetention } from './window-retention.ts'

/** One restorer a store and restore, over the store it restores. */
export function changelogRestorer(spec: RestoreSpec, store: StateStore): ChangelogRestorer {
  switch (spec.kind) {
    case 'key-value':
      return new RowRestorer(store, spec.timestamped)
    case 'window':
      return new WindowRestorer(spec, store)
    case 'suppress':
      return new SuppressRestorer(spec.name, store)
    case 'dedupe':
      return new DedupeRestorer(spec, store)
  }
}

async function* nothing(): AsyncGenerator<never> {}

/** Rows are the records, or ts(8) ‖ value. */
class RowRestorer implements ChangelogRestorer {
  readonly #rows: RestoredRows

  constructor(store: StateStore, timestamped: boolean) {
    this.#rows = restoredRows(store, timestamped)
  }

  get rows(): number {
    return this.#rows.rows
  }

  add(record: RestoredRecord): void {
    this.#rows.add(record)
  }

  take(): readonly StoreChange[] {
    return this.#rows.take()
  }

  expired(): AsyncGenerator<never> {
    return nothing()
  }
}

/**
 * Timestamped rows, and the note of the highest window start, deleted windows included. Where time alone lets windows go, the
 * store is searched for them each time a segment of them has: rows lie by key, and an index would cost what a live store costs.
 */
class WindowRestorer implements ChangelogRestorer {
  readonly #inner: RestoredRows
  readonly #store: StateStore
  readonly #retention: WindowRetention
  #notedTimeMs: number
  #expiredBelowMs = Number.NEGATIVE_INFINITY

  constructor(
    spec: { readonly retentionMs: number; readonly expiry: RestoredExpiry },
    store: StateStore,
  ) {
    this.#inner = restoredRows(store, true)
    this.#store = store
    this.#retention = new WindowRetention(spec.retentionMs)
    if (spec.expiry === 'by-time') this.#retention.holdFrom(Number.POSITIVE_INFINITY)
    this.#notedTimeMs = readObservedTime(store)
    this.#retention.observe(this.#notedTimeMs)
  }

  get rows(): number {
    return this.#inner.rows
  }

  add(record: RestoredRecord): void {
    const startMs = readInt64(record.buffer, record.keyEnd - WINDOW_SUFFIX_BYTES)
    this.#retention.observe(startMs)
    if (startMs >= this.#retention.keptFromMs) this.#inner.add(record)
  }

  take(): readonly StoreChange[] {
    const changes = this.#inner.take()
    const { observedTimeMs } = this.#retention
    if (observedTimeMs === this.#notedTimeMs) return changes
    this.#notedTimeMs = observedTimeMs
    return [...changes, observedTimeNote(observedTimeMs)]
  }

  async *expired(): AsyncGenerator<readonly StoreChange[]> {
    const { keptFromMs } = this.#retention
    if (keptFromMs === this.#expiredBelowMs) return
    this.#expiredBelowMs = keptFromMs
    for await (const rows of this.#store.scan()) {
      const deletes: StoreChange[] = []
      for (const { key } of rows) {
        const parsed = parseWindowStoreKey(key)
        if (parsed !== undefined && parsed.startMs < keptFromMs) deletes.push({ key, value: null })
      }
      yield deletes
    }
  }
}

/** Rows are the records, in the one version that is written. */
class SuppressRestorer extends RowRestorer {
  readonly #name: string

  constructor(name: string, store: StateStore) {
    super(store, false)
    this.#name = name
  }

  override add(record: RestoredRecord): void {
    if (record.valueStart >= 0) this.#checkVersion(record)
    super.add(record)
  }

  #checkVersion(record: RestoredRecord): void {
    const version = record.headers().find(([name]) => name === 'v')?.[1]
    if (version?.[0] === BUFFER_VALUE_VERSION) return
    throw new StateError(
      'STORE_SERDE',
      `store ${this.#name}: its changelog has a record of version ${version?.[0] ?? 0}, not 3: it was written by Kafka ` +
        'Streams before 2.4; let a newer one write it again, or reset the application',
    )
  }
}
