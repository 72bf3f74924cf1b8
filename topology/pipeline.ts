/**
 * The processors of one sub-topology, wired for one partition.
 *
 * Invariant: a record runs depth first, through children in the order attached, to its end.
 */
import { AssertionError } from '#system'
import type { PipelineFactory } from './pipeline-contract.ts'

export const createPipeline: PipelineFactory = () => {
  throw new AssertionError('under construction')
}
