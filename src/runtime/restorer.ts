/**
 * Brings stores to where their changelogs are: to a target for a task that is to run, or on and on for a standby.
 *
 * It starts at each store's own position, reads committed records only, and applies them in batches, each atomic with the
 * position that was read up to (control records and aborted ones are behind it). The next read is on its way while a batch
 * is applied. A log and a store on this machine answer without ever letting go of the thread: between steps the restorer does,
 * and while other tasks run on the thread its steps are short.
 *
 * Invariant: a store never holds a record at or beyond its position, so stopping anywhere is a place to go on from.
 */
import { readBatchHeader, RecordCursor, type FetchedBatch, type Log, type LogReader } from '#log'
import { changelogRestorer, type ChangelogRestorer } from '#state'
import type { OpenStore } from './open-store.ts'
import { restoreSpecOf } from './store-expiry.ts'
import type { RestoreMetrics } from './streams-metrics.ts'
import type { Machine } from './streams-options.ts'

/** A standby's reader waits this long at most before it looks whether it was stopped. */
const WAIT_MS = 1_000
/** What lies below a target is there: its end may be markers, behind which no record comes to end the wait. */
const TARGET_WAIT_MS = 5
/** Keys and values that may wait for one apply: with large values rows alone would let gigabytes gather. */
const BYTES_MAX = 16 * 1024 * 1024
/** The same while other tasks run. */
const BUSY_BYTES_MAX = 1024 * 1024

export interface RestoreOptions {
  readonly applicationId: string
  readonly taskId: string
  /** At most this many rows in one apply, if that is fewer than the backend likes. */
  readonly rowsMax: number
  /** At most about this many bytes of keys and values in one apply: one record may come on top. */
  readonly bytesMax?: number
  readonly fetchBytesMax: number
  /** The task's time is held back by the slowest upstream (R12): the newest window does not say which are over. */
  readonly holdsWindows?: boolean
  /** Whether other tasks run on this thread at present. */
  readonly isBusy?: () => boolean
}

/** One store on its way. `target` undefined: a standby, which has no end. */
export interface RestoreGoal {
  readonly store: OpenStore
  readonly from: number
  readonly target: number | undefined
  /** Why the store starts from nothing, or how it begins. */
  readonly reason: string
}

class Progress {
  readonly goal: RestoreGoal
  readonly startedMs: number
  readonly rows: ChangelogRestorer
  /** Everything below is in the store or in `rows`. */
  readTo: number
  /** Everything below has been returned by the reader. */
  fetchedTo: number
  leaderEpoch: number
  records: number = 0
  /** Keys and values that were read and not applied. */
  waitingBytes: number = 0
  endedMs: number | undefined

  constructor(goal: RestoreGoal, startedMs: number, holdsWindows: boolean) {
    this.goal = goal
    this.startedMs = startedMs
    this.readTo = goal.from
    this.fetchedTo = goal.from
    this.leaderEpoch = goal.store.leaderEpoch
    this.rows = changelogRestorer(restoreSpecOf(goal.store.spec, holdsWindows), goal.store.store)
  }

  get isDone(): boolean {
    return this.goal.target !== undefined && this.readTo >= this.goal.target
  }

  get isFetched(): boolean {
    return this.goal.target !== undefined && this.fetchedTo >= this.goal.target
  }
}

export class Restorer {
  readonly #reader: LogReader
  readonly #machine: Machine
  readonly #options: RestoreOptions
  readonly #stores: ReadonlyMap<string, Progress>
  readonly #cursor = new RecordCursor()
  #stopped = false

  constructor(log: Log, machine: Machine, options: RestoreOptions, goals: readonly RestoreGoal[]) {
    this.#machine = machine
    this.#options = options
    this.#reader = log.reader({ isolation: 'read-committed' })
    const nowMs = machine.clock.elapsedMs()
    const entries = goals.flatMap((goal) => {
      const { changelog } = goal.store
      if (changelog === undefined) return []
      return [
        [
          `${changelog.topic}-${changelog.partition}`,
          new Progress(goal, nowMs, options.holdsWindows === true),
        ] as const,
      ]
    })
    this.#stores = new Map(entries)
  }

  /** Records that were applied, over all stores. */
  get records(): number {
    return [...this.#stores.values()].reduce((sum, { records }) => sum + records, 0)
  }

  /** What is on the log and not in the stores; Infinity until that is known. */
  get lagRecords(): number {
    let lag = 0
    for (const { goal } of this.#stores.values()) {
      const { changelog, position } = goal.store
      const end = changelog && this.#reader.progress(changelog)?.highWatermark
      if (end === undefined || end < 0) return Number.POSITIVE_INFINITY
      lag += Math.max(0, end - Math.max(position, goal.from))
    }
    return lag
  }

  metrics(): readonly RestoreMetrics[] {
    const nowMs = this.#machine.clock.elapsedMs()
    return [...this.#stores.values()].map((progress) => metricsOf(progress, this.#options, nowMs))
  }

  /** Resolves when every target is reached, or soon after `stop`. True if it got there. */
  async run(): Promise<boolean> {
    this.#assign()
    let reading = this.#read()
    try {
      while (!this.#stopped && !this.#isDone()) {
        const batches = await reading
        this.#noteFetched()
        await this.#machine.clock.turn()
        // What was just fetched is taken and applied while the next read is on its way.
        reading = this.#read()
        await this.#take(batches)
        if (!this.#stopped) await this.#applyReady(this.#isStandby())
      }
      if (!this.#stopped) await this.#applyReady(false)
      return !this.#stopped
    } finally {
      this.#reader.wake()
      await reading.catch(() => [])
      await this.#reader.close()
    }
  }

  /** Ends `run` after the batch in hand; what was read and not applied is forgotten. */
  stop(): void {
    this.#stopped = true
    this.#reader.wake()
  }

  #read(): Promise<readonly FetchedBatch[]> {
    const isFetched = [...this.#stores.values()].every((progress) => progress.isFetched)
    if (this.#stopped || isFetched) return Promise.resolve([])
    const waitMs = this.#isStandby() ? WAIT_MS : TARGET_WAIT_MS
    const reading = this.#reader.poll({ waitMs, bytesMax: this.#options.fetchBytesMax })
    // Looked at when it is awaited, which may be after it failed.
    reading.catch(() => {})
    return reading
  }

  #assign(): void {
    const open = [...this.#stores.values()].filter((progress) => !progress.isDone)
    this.#reader.assign(
      open.flatMap(({ goal: { store }, readTo }) =>
        store.changelog === undefined
          ? []
          : [{ ...placeOf(store.changelog), position: Math.max(readTo, 0) }],
      ),
    )
  }

  #isDone(): boolean {
    for (const progress of this.#stores.values()) if (!progress.isDone) return false
    return true
  }

  #isStandby(): boolean {
    for (const { goal } of this.#stores.values()) if (goal.target === undefined) return true
    return false
  }

  /** Before the next poll begins: everything below has been returned to us. */
  #noteFetched(): void {
    for (const progress of this.#stores.values()) {
      const { changelog } = progress.goal.store
      if (changelog === undefined) continue
      const position = this.#reader.progress(changelog)?.position ?? -1
      progress.fetchedTo = Math.max(progress.fetchedTo, position)
    }
  }

  async #take(batches: readonly FetchedBatch[]): Promise<void> {
    const fetchedTo = [...this.#stores.values()].map((progress) => progress.fetchedTo)
    for (const batch of batches) {
      const progress = this.#stores.get(`${batch.topic}-${batch.partition}`)
      if (progress !== undefined) await this.#decode(batch, progress)
      if (this.#stopped) return
    }
    // Beyond the last record there may be what no reader is shown.
    for (const [index, progress] of [...this.#stores.values()].entries()) {
      progress.readTo = Math.max(progress.readTo, fetchedTo[index] ?? -1)
    }
  }

  /** Records wait until there are enough for one apply, which may be in the middle of a batch. */
  async #decode(batch: FetchedBatch, progress: Progress): Promise<void> {
    const limit = progress.goal.target ?? Number.POSITIVE_INFINITY
    const epoch = readBatchHeader(batch.bytes).leaderEpoch
    const cursor = this.#cursor
    let { rowsMax, bytesMax } = this.#applyLimits(progress)
    cursor.open(batch.bytes, batch)
    while (cursor.next()) {
      // An input that serves as changelog goes on beyond what its task has committed (R3), and may have null keys (K1).
      if (cursor.offset < progress.readTo || cursor.offset >= limit || cursor.keyStart < 0) continue
      progress.rows.add(cursor)
      progress.records += 1
      progress.waitingBytes += cursor.recordEnd - cursor.recordStart
      if (progress.rows.rows < rowsMax && progress.waitingBytes < bytesMax) continue
      progress.readTo = cursor.offset + 1
      progress.leaderEpoch = Math.max(progress.leaderEpoch, epoch)
      await this.#apply(progress)
      if (this.#stopped) return
      ;({ rowsMax, bytesMax } = this.#applyLimits(progress))
    }
    progress.readTo = Math.max(progress.readTo, Math.min(batch.nextOffset, limit))
    progress.leaderEpoch = Math.max(progress.leaderEpoch, epoch)
  }

  #applyLimits({ goal: { store } }: Progress): {
    readonly rowsMax: number
    readonly bytesMax: number
  } {
    const { rowsMax, bytesMax, isBusy } = this.#options
    const busy = isBusy?.() === true
    return {
      rowsMax: Math.min(busy ? store.restoreSliceRows : store.restoreBatchRows, rowsMax),
      bytesMax: bytesMax ?? (busy ? BUSY_BYTES_MAX : BYTES_MAX),
    }
  }

  /** Applies what waits where the target is reached, and if `isEager` everywhere. */
  async #applyReady(isEager: boolean): Promise<void> {
    for (const progress of this.#stores.values()) {
      const ended = progress.isDone && progress.endedMs === undefined
      if (ended || (isEager && progress.rows.rows > 0)) await this.#apply(progress)
      if (this.#stopped) return
      if (ended) this.#end(progress)
    }
  }

  async #apply(progress: Progress): Promise<void> {
    const { clock, failpoint } = this.#machine
    const { store, target } = progress.goal
    const { leaderEpoch } = progress
    const position = Math.min(progress.readTo, target ?? progress.readTo)
    progress.waitingBytes = 0
    if (progress.rows.rows === 0) {
      store.skipTo(position, leaderEpoch)
    } else {
      await store.apply(progress.rows.take(), { position, leaderEpoch, nowMs: clock.nowMs() })
    }
    failpoint('runtime:restore')
    await clock.turn()
    for await (const deletes of progress.rows.expired()) {
      if (this.#stopped) return
      if (deletes.length > 0) {
        await store.apply(deletes, { position, leaderEpoch, nowMs: clock.nowMs() })
      }
      await clock.turn()
    }
  }

  #end(progress: Progress): void {
    const { clock, observer } = this.#machine
    progress.endedMs = clock.elapsedMs()
    observer({
      kind: 'restored',
      applicationId: this.#options.applicationId,
      taskId: this.#options.taskId,
      store: progress.goal.store.spec.name,
      records: progress.records,
      durationMs: progress.endedMs - progress.startedMs,
      reason: progress.goal.reason,
    })
  }
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): {
  readonly topic: string
  readonly partition: number
} {
  return { topic, partition }
}

function metricsOf(progress: Progress, { taskId }: RestoreOptions, nowMs: number): RestoreMetrics {
  const { goal } = progress
  const elapsedMs = Math.max(1, (progress.endedMs ?? nowMs) - progress.startedMs)
  const doneRecords = Math.max(0, progress.readTo - Math.max(goal.from, 0))
  const recordsPerSecond = (doneRecords * 1_000) / elapsedMs
  const totalRecords =
    goal.target === undefined ? undefined : Math.max(0, goal.target - Math.max(goal.from, 0))
  const left = totalRecords === undefined ? undefined : Math.max(0, totalRecords - doneRecords)
  return {
    taskId,
    store: goal.store.spec.name,
    mode: goal.target === undefined ? 'standby' : 'active',
    doneRecords,
    totalRecords,
    recordsPerSecond,
    etaMs:
      left === undefined || recordsPerSecond === 0 ? undefined : (left * 1_000) / recordsPerSecond,
  }
}
