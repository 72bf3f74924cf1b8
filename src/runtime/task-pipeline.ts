/**
 * The pipeline of a task, with what the task gives it: stores, where records go, and whom to tell.
 *
 * Invariant: a pipeline reaches the log, the clock and the task only through what is handed to it here.
 */
import { createPipeline, type PipelineApi, type PipelineEnvironment } from '#topology'
import { isBufferFull, isUsersError } from './record-queue.ts'
import type { TaskSetup } from './task-options.ts'

export type TaskPipelineParts = Pick<
  PipelineEnvironment,
  'stores' | 'collector' | 'dropped' | 'late' | 'requestCommit'
>

export function createTaskPipeline(setup: TaskSetup, parts: TaskPipelineParts): PipelineApi {
  const { identity, options, wallClockMs, timestampExtractor } = setup
  const { applicationId, topology, subTopology, partition, taskId } = identity
  const passesOver = topology.compatibility !== undefined && options.onProcessingError === 'skip'
  const passOver = (node: string, error: unknown): boolean => {
    const isPassedOver = isUsersError(error) && !isBufferFull(error)
    if (isPassedOver) parts.dropped(node, 'failed')
    return isPassedOver
  }
  return createPipeline(topology, subTopology, {
    ...parts,
    applicationId,
    taskId,
    partition,
    wallClockMs,
    windowsClosed: () => setup.failpoint?.('runtime:window-close'),
    freezeValues: options.freezeValues,
    ...(passesOver && { passOver }),
    ...(timestampExtractor && { timestampExtractor }),
  })
}
