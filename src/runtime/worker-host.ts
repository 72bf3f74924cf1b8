/**
 * A worker as `Streams` sees it, whichever thread it runs on; and the one that runs on this thread.
 *
 * Invariant: `ended` settles once, after everything of the worker is closed.
 */
import type { RunningTask } from './running-task.ts'
import { answerQuestion, type StoreQuestion, type StoreReply } from './store-question.ts'
import type { StreamsMetrics, TaskMetrics } from './streams-metrics.ts'
import type { TaskError } from './task-error.ts'
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
  const { counters, tasks } = worker
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
    tasks: [
      ...[...tasks.running.values()].map((running) => runningMetrics(worker, running)),
      ...[...tasks.failed.values()].map((failure) => failedMetrics(worker, failure)),
    ],
    restores: [...tasks.recoveries()].flatMap(({ recovery }) => recovery.metrics()),
  }
}

function runningMetrics(worker: TaskWorker, running: RunningTask): TaskMetrics {
  const { taskId, task, state, failure, inputs, appliedInputs } = running
  return {
    taskId,
    state,
    ...(failure && { failure: failure.message }),
    worker: worker.setup.worker,
    streamTimeMs: task.streamTimeMs,
    bufferedBytes: task.bufferedBytes,
    droppedRecords: task.droppedRecords,
    lagRecords: inputs.reduce((sum, input) => {
      const end = worker.progress(input)?.highWatermark ?? 0
      const applied = appliedInputs[`${input.topic}-${input.partition}`] ?? 0
      return sum + Math.max(0, end - applied)
    }, 0),
  }
}

/** Could not be recovered: nothing is known of it but why. */
function failedMetrics(worker: TaskWorker, { taskId, message }: TaskError): TaskMetrics {
  return {
    taskId,
    state: 'failed',
    failure: message,
    worker: worker.setup.worker,
    streamTimeMs: -1,
    bufferedBytes: 0,
    droppedRecords: 0,
    lagRecords: 0,
  }
}
