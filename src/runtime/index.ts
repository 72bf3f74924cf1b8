/** Turns a topology, a log and stores into running tasks. */
export type {
  Answer,
  Bounds,
  Queryable,
  QueryOptions,
  TableQuery,
  TableRow,
  WindowBounds,
  WindowQuery,
  WindowRow,
} from './query.ts'
export { Streams, type InputLag, type StreamsEvents } from './streams.ts'
export type { RestoreMetrics, StreamsMetrics, TaskMetrics } from './streams-metrics.ts'
export type {
  Guarantee,
  StreamsLimits,
  StreamsOptions,
  TopologyModule,
  TopologySource,
} from './streams-options.ts'
export type { StreamsState } from './streams-state.ts'
export { endpointOf, taskOf, taskOwners, type TaskOwner } from './task-owners.ts'
export { takeInstanceFolder, type InstanceFolder } from './instance-folder.ts'
export { TaskError, type RecordPlace, type TaskErrorCode } from './task-error.ts'
export type { ErrorPolicy } from './task-options.ts'

// For whoever runs tasks by hand: the test driver, simulators, tools that read what an application keeps on the log.
export { Committer, sealAll, type CommittingTask } from './committer.ts'
export { ERROR_HEADER_PREFIX } from './dead-letters.ts'
export * from './internal-names.ts'
export { decodeJournal, encodeJournal, type JournalEntry, type JournalRecord } from './journal.ts'
export type { LateRecord } from './late-records.ts'
export { openStores } from './open-stores.ts'
export type { Machine } from './streams-options.ts'
export { DEFAULT_TASK_OPTIONS, type TaskOptions, type TaskSetup } from './task-options.ts'
export { Task } from './task.ts'
export { TIME_HEADER } from './time-record.ts'
export { readApplicationTopics, type ApplicationTopics } from './topology-record.ts'
export { RUNTIME_FAILPOINTS, type RuntimeFailpoint } from './runtime-failpoints.ts'
