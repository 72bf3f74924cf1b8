/**
 * What the thread that has the `Streams` handles and the threads that run workers tell each other: plain data only.
 *
 * Invariant: an error arrives as the class and code it left as, so that whoever catches it need not know of threads.
 */
import { LogError, type LogErrorCode, type LogShare } from '#log'
import { StateError, type BackendKind, type StateErrorCode } from '#state'
import type { Happening } from '#system'
import { TopologyError, type TopologyErrorCode } from '#topology'
import type { StoreQuestion, StoreReply } from './store-question.ts'
import type { StreamsMetrics } from './streams-metrics.ts'
import type { TopologyModule } from './streams-options.ts'
import { TaskError, type TaskErrorCode } from './task-error.ts'
import type { WorkerSetup } from './worker-setup.ts'

/** A worker's setup without what a thread makes for itself. */
export interface ThreadSetup extends Pick<
  WorkerSetup,
  | 'taskOptions'
  | 'guarantee'
  | 'commitIntervalMs'
  | 'standbys'
  | 'repartitionPurgeIntervalMs'
  | 'limits'
  | 'worker'
  | 'instanceId'
  | 'transactionalId'
  | 'memberInstanceId'
  | 'endpoint'
> {
  readonly topology: TopologyModule
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly batchLimits: ReadonlyMap<string, number>
  readonly folder: string | undefined
  readonly backend: BackendKind | undefined
  readonly heldBefore: Readonly<Record<string, number>>
}

export type ToThread =
  | {
      readonly kind: 'connect'
      readonly share: Omit<LogShare, 'transfer'>
      readonly failpoint: string | undefined
    }
  | { readonly kind: 'host'; readonly host: number; readonly setup: ThreadSetup }
  | { readonly kind: 'stop'; readonly host: number; readonly leave: boolean }
  | {
      readonly kind: 'ask'
      readonly host: number
      readonly call: number
      readonly question: StoreQuestion
    }
  /** Everything was stopped: close the log and end. */
  | { readonly kind: 'quit' }

export type FromThread =
  | { readonly kind: 'state'; readonly host: number; readonly state: 'rebalancing' | 'running' }
  | { readonly kind: 'happening'; readonly host: number; readonly happening: Happening }
  | {
      readonly kind: 'metrics'
      readonly host: number
      readonly metrics: StreamsMetrics
      readonly owners: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'remember'
      readonly host: number
      readonly positions: Readonly<Record<string, number>>
    }
  | { readonly kind: 'reply'; readonly call: number; readonly replies: readonly StoreReply[] }
  | { readonly kind: 'refusal'; readonly call: number; readonly error: SentError }
  | { readonly kind: 'ended'; readonly host: number; readonly error: SentError | undefined }

export interface SentError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly code: string
  readonly taskId: string
}

export function sendError(error: unknown): SentError {
  const { name, message, stack } = error instanceof Error ? error : new TypeError(String(error))
  const textOf = (field: string): string => {
    const value: unknown = error instanceof Error ? Reflect.get(error, field) : undefined
    return typeof value === 'string' ? value : ''
  }
  return { name, message, stack, code: textOf('code'), taskId: textOf('taskId') }
}

export function receiveError(sent: SentError): Error {
  const error = revived(sent)
  if (sent.stack !== undefined) error.stack = sent.stack
  return error
}

function revived({ name, message, code, taskId }: SentError): Error {
  switch (name) {
    case 'TaskError':
      return new TaskError(code as TaskErrorCode, message, { taskId })
    case 'LogError':
      return new LogError(code as LogErrorCode, message)
    case 'StateError':
      return new StateError(code as StateErrorCode, message)
    case 'TopologyError':
      return new TopologyError(code as TopologyErrorCode, message)
    default:
      return Object.assign(new TypeError(message), { name })
  }
}

/** Errors inside what an observer is told do not survive being sent. */
export function sendableHappening(happening: Happening): Happening {
  if (happening.kind === 'recovering') return { ...happening, cause: sendError(happening.cause) }
  if (happening.kind === 'failed') return { ...happening, error: sendError(happening.error) }
  return happening
}
