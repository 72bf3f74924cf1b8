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
export { TaskError, type RecordPlace, type TaskErrorCode } from './task-error.ts'
export type { ErrorPolicy } from './task-options.ts'
