/**
 * Where a producer gets its id and epoch from.
 *
 * Invariant: what is given is a real identity: an error code is looked at before anything else of an answer, because a broker
 * that is starting says "no producer" and batches sent as that are taken without idempotence.
 */
import { LogError } from '../log.ts'
import { ANY_BROKER, type Cluster } from './cluster.ts'
import { isStaleCoordinator, kafkaError, NO_ERROR } from './errors.ts'
import {
  type IdentityAnswer,
  initProducerId,
  type InitRequest,
  NO_PRODUCER,
  type ProducerIdentity,
} from './transaction-codec.ts'

/** The epoch is an int16, and the last one is the brokers' own. */
export const EPOCH_MAX = 32_766
const CALL_TIMEOUT_MS = 5_000

/** A producer outside of transactions: any broker gives a new id. */
export function askForIdentity(
  cluster: Cluster,
  deadlineMs: number,
  lane: string,
): Promise<ProducerIdentity> {
  const where = 'asking for a producer id'
  const request = { transactionalId: null, timeoutMs: 60_000, current: NO_PRODUCER }
  return cluster.retrying(deadlineMs, async () =>
    identityIn(await ask(cluster, ANY_BROKER, lane, request), where),
  )
}

/**
 * The producer of a transactional id. From NO_PRODUCER: fences whoever wrote under the id before and ends what they left open.
 * From an identity that is in force: the same with the next epoch, for who lost count of its sequences.
 */
export function initTransactions(
  cluster: Cluster,
  deadlineMs: number,
  lane: string,
  request: InitRequest & { readonly transactionalId: string },
): Promise<ProducerIdentity> {
  const { transactionalId } = request
  const where = `initialising the transactional id ${transactionalId}`
  return cluster.retrying(deadlineMs, async () => {
    // Finding it is also what makes a fresh cluster create its topic of transactions.
    const coordinator = await cluster.coordinator('transaction', transactionalId)
    try {
      const answer = await ask(cluster, coordinator, lane, request)
      if (isStaleCoordinator(answer.code)) {
        cluster.forgetCoordinator('transaction', transactionalId)
      }
      return identityIn(answer, where)
    } catch (error) {
      if (error instanceof LogError && error.code === 'LOG_UNAVAILABLE') {
        cluster.forgetCoordinator('transaction', transactionalId)
      }
      throw error
    }
  })
}

function ask(
  cluster: Cluster,
  nodeId: number,
  lane: string,
  request: InitRequest,
): Promise<IdentityAnswer> {
  return cluster.call(
    nodeId,
    'transaction',
    CALL_TIMEOUT_MS,
    (connection) => initProducerId.async(connection, request),
    lane,
  )
}

function identityIn({ code, producerId, epoch }: IdentityAnswer, where: string): ProducerIdentity {
  if (code !== NO_ERROR) throw kafkaError(code, where)
  if (producerId < 0 || epoch < 0) {
    throw new LogError('LOG_UNAVAILABLE', `${where}: the broker gave none`, { retriable: true })
  }
  return { producerId, epoch }
}
