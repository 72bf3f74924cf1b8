/**
 * A worker as `Streams` sees it, whichever thread it runs on; and the one that runs on this thread.
 *
 * Invariant: `ended` settles once, after everything of the worker is closed.
 */
import { answerQuestion, type StoreQuestion, type StoreReply } from './store-question.ts'
import type { StreamsMetrics } from './streams-metrics.ts'
import type { WorkerSetup } from './worker-setup.ts'
import { TaskWorker } from './worker.ts'

export interface WorkerHost {
  /** Resolves after a stop; rejects with what nobody but a person can mend. */
  readonly ended: Promise<void>
  stop(leave: boolean): void
  ask(question: StoreQuestion): Promise<readonly StoreReply[]>
  metrics(): StreamsMetrics
  /** Endpoints of the tasks' owners, as the last assignment told. */
  owners(): Readonly<Record<string, string>>
}

/** Runs a worker on this thread, between whatever else it does. */
export function hostHere(setup: WorkerSetup): WorkerHost {
  const worker = new TaskWorker(setup)
  return {
    ended: worker.run(),
    stop: (leave) => worker.stop(leave),
    ask: (question) => answerQuestion(answeringOf(worker), question),
    metrics: () => metricsOf(worker),
    owners: () => worker.tasks.assigned.owners,
  }
}

function answeringOf(worker: TaskWorker): Parameters<typeof answerQuestion>[0] {
  const { tasks, setup } = worker
  return { tasks, machine: setup.machine, progressOf: (input) => worker.progress(input) }
}

export function metricsOf(worker: TaskWorker): StreamsMetrics {
  const { counters, tasks, setup } = worker
  const { recordsProcessed, commits, commitsFailed, recoveries, commitMsTotal, commitMsMax } =
    counters
  const { punctuations, ticks } = counters
  return {
    recordsProcessed,
    commits,
    commitsFailed,
    recoveries,
    commitMsTotal,
    commitMsMax,
    punctuations,
    ticks,
    restoredRecords: tasks.restoredRecords,
    tasks: [...tasks.running.values()].map((running) => ({
      taskId: running.taskId,
      state: running.state,
      worker: setup.worker,
      streamTimeMs: running.task.streamTimeMs,
      bufferedBytes: running.task.bufferedBytes,
      droppedRecords: running.task.droppedRecords,
      lagRecords: running.inputs.reduce((sum, input) => {
        const end = worker.progress(input)?.highWatermark ?? 0
        const applied = running.appliedInputs[`${input.topic}-${input.partition}`] ?? 0
        return sum + Math.max(0, end - applied)
      }, 0),
    })),
    restores: [...tasks.recoveries()].flatMap(({ recovery }) => recovery.metrics()),
  }
}
