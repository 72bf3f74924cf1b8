/**
 * What a worker counts as it goes: plain fields, added to on the hot path.
 *
 * Invariant: nothing reads them to decide anything.
 */
export class WorkerCounters {
  recordsProcessed: number = 0
  commits: number = 0
  commitsFailed: number = 0
  commitMsTotal: number = 0
  commitMsMax: number = 0
  recoveries: number = 0
  punctuations: number = 0
  ticks: number = 0

  committed(isCommitted: boolean, durationMs: number): void {
    if (!isCommitted) {
      this.commitsFailed += 1
      return
    }
    this.commits += 1
    this.commitMsTotal += durationMs
    this.commitMsMax = Math.max(this.commitMsMax, durationMs)
  }
}
