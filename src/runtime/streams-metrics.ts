/**
 * Numbers of a running application: plain fields that the loops add to, read as a snapshot.
 *
 * Invariant: reading changes nothing, and counters never go down while the handle lives.
 */

export interface TaskMetrics {
  readonly taskId: string
  readonly state: string
  /** Why it has stopped, if its state is `failed`. */
  readonly failure?: string
  readonly worker: number
  readonly streamTimeMs: number
  readonly bufferedBytes: number
  /** Since it began to run here: late, of null key, failed … */
  readonly droppedRecords: number
  readonly lagRecords: number
}

export interface RestoreMetrics {
  readonly taskId: string
  readonly store: string
  readonly mode: 'active' | 'standby'
  readonly doneRecords: number
  /** Undefined for a standby, which never ends. */
  readonly totalRecords: number | undefined
  readonly recordsPerSecond: number
  readonly etaMs: number | undefined
}

export interface StreamsMetrics {
  readonly recordsProcessed: number
  readonly commits: number
  /** Commits that ended otherwise than committed: each was followed by a recovery. */
  readonly commitsFailed: number
  readonly recoveries: number
  readonly commitMsTotal: number
  readonly commitMsMax: number
  readonly punctuations: number
  readonly ticks: number
  readonly restoredRecords: number
  readonly tasks: readonly TaskMetrics[]
  readonly restores: readonly RestoreMetrics[]
}

export const NO_METRICS: StreamsMetrics = {
  recordsProcessed: 0,
  commits: 0,
  commitsFailed: 0,
  recoveries: 0,
  commitMsTotal: 0,
  commitMsMax: 0,
  punctuations: 0,
  ticks: 0,
  restoredRecords: 0,
  tasks: [],
  restores: [],
}

/** Several workers as one application. */
export function sumMetrics(parts: readonly StreamsMetrics[]): StreamsMetrics {
  return parts.reduce(
    (sum, part) => ({
      recordsProcessed: sum.recordsProcessed + part.recordsProcessed,
      commits: sum.commits + part.commits,
      commitsFailed: sum.commitsFailed + part.commitsFailed,
      recoveries: sum.recoveries + part.recoveries,
      commitMsTotal: sum.commitMsTotal + part.commitMsTotal,
      commitMsMax: Math.max(sum.commitMsMax, part.commitMsMax),
      punctuations: sum.punctuations + part.punctuations,
      ticks: sum.ticks + part.ticks,
      restoredRecords: sum.restoredRecords + part.restoredRecords,
      tasks: [...sum.tasks, ...part.tasks],
      restores: [...sum.restores, ...part.restores],
    }),
    NO_METRICS,
  )
}
