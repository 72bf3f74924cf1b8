/**
 * One request to the coordinator of a group, found and, when it has moved or is gone, forgotten.
 *
 * Invariant: what is thrown as retriable has made the coordinator be looked up anew before the next try.
 */
import type { Connection } from '@platformatic/kafka'

import type { Cluster, Purpose } from './cluster.ts'
import { answerOf, CODE, isRetriable, kafkaError } from './errors.ts'

export interface CoordinatorCall {
  readonly groupId: string
  /** What is tried, as the start of a sentence. */
  readonly where: string
  readonly purpose: Purpose
  readonly timeoutMs: number
  readonly lane?: string
}

/** Codes of a coordinator that is another one, or is not one yet. */
const ELSEWHERE: ReadonlySet<number> = new Set([
  CODE.coordinatorLoadInProgress,
  CODE.coordinatorNotAvailable,
  CODE.notCoordinator,
])

/**
 * The whole answer, whatever codes it carries, but for those of `codeOf` that say "ask again": they are thrown, like a
 * connection that fails, as retriable errors.
 */
export async function askCoordinator<T>(
  cluster: Cluster,
  { groupId, where, purpose, timeoutMs, lane }: CoordinatorCall,
  exchange: (connection: Connection) => Promise<T>,
  codeOf: (answer: T) => number,
): Promise<T> {
  const nodeId = await cluster.coordinator('group', groupId)
  let answer: T
  try {
    const ask = (connection: Connection): Promise<T> => answerOf(exchange(connection))
    answer = await cluster.call(nodeId, purpose, timeoutMs, ask, lane)
  } catch (error) {
    cluster.forgetCoordinator('group', groupId)
    throw error
  }
  const code = codeOf(answer)
  if (ELSEWHERE.has(code)) {
    cluster.forgetCoordinator('group', groupId)
    throw kafkaError(code, where)
  }
  if (isRetriable(code)) throw kafkaError(code, where)
  return answer
}
