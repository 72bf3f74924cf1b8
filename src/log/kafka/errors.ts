/**
 * What a broker's error codes mean to a caller of the log, and how to get at a whole answer when the client library throws it.
 *
 * Invariant: a LogError made here is `retriable` exactly if the same request may succeed later without anybody's help.
 */

import { LogError, type LogErrorCode, type TopicPartition } from '../log.ts'
import { client } from './client.ts'

const {
  AuthenticationError,
  GenericError,
  NetworkError,
  ProtocolError,
  protocolErrors,
  protocolErrorsCodesById,
  ResponseError,
  UserError,
} = client

export const NO_ERROR = 0

/** Kafka's error codes, by Kafka's names: those that the driver decides by. */
export const CODE = {
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  outOfOrderSequenceNumber: 45,
  invalidProducerEpoch: 47,
  concurrentTransactions: 51,
  unknownProducerId: 59,
  groupIdNotFound: 69,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  unstableOffsetCommit: 88,
  unknownTopicId: 100,
} as const

/** By code: what the log contract calls it. What is missing here is LOG_UNAVAILABLE. */
const MEANINGS: ReadonlyMap<number, LogErrorCode> = new Map<number, LogErrorCode>([
  [CODE.offsetOutOfRange, 'OFFSET_OUT_OF_RANGE'],
  [CODE.corruptMessage, 'LOG_CORRUPT'],
  [CODE.unknownTopicOrPartition, 'TOPIC_UNKNOWN'],
  [CODE.unknownTopicId, 'TOPIC_UNKNOWN'],
  ...meaning('RECORD_TOO_LARGE', 10, 12, 18),
  // The name, the partition count, the replication, its placement, a setting, the cluster's policy.
  ...meaning('TOPIC_INVALID', 17, 37, 38, 39, 40, 44),
  ...meaning('LOG_FENCED', 22, 25, 27, 47, 49, 82, 90),
  // Rights, credentials, mechanisms, versions, and records that a topic does not take.
  ...meaning('LOG_REFUSED', 29, 30, 31, 32, 33, 34, 35, 43, 50, 53, 54, 58, 65, 76, 87),
  ...meaning('LOG_MISUSE', 21, 23, 24, 26, 28, 42),
])

function meaning(code: LogErrorCode, ...codes: readonly number[]): [number, LogErrorCode][] {
  return codes.map((each) => [each, code])
}

/** Codes that pass by themselves, or once the caller has looked up leaders and coordinators anew. */
const RETRIABLE: ReadonlySet<number> = new Set([
  2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 88, 89,
  100, 103, 106, 107, 108,
])

/** Codes of a principal that may not do what it tried. */
const UNAUTHORIZED: ReadonlySet<number> = new Set([29, 30, 31, 53, 65])

export function isRetriable(code: number): boolean {
  return RETRIABLE.has(code)
}

/** True for codes that say "ask for the leader again", of one partition. */
export function isStaleLeader(code: number): boolean {
  return [3, 5, 6, 9, 56, 72, 74, 75, 78, 100, 103].includes(code)
}

/** True for codes that say "ask for the coordinator again". */
export function isStaleCoordinator(code: number): boolean {
  return code === CODE.coordinatorNotAvailable || code === CODE.notCoordinator
}

/** True for codes of a batch that is larger than its topic takes. */
export function isOversized(code: number): boolean {
  return code === CODE.messageTooLarge || code === CODE.recordListTooLarge
}

/** Kafka's name of a code, `NOT_COORDINATOR`. */
export function errorName(code: number): string {
  const names: Readonly<Record<string, string>> = protocolErrorsCodesById
  return names[`${code}`] ?? `ERROR_${code}`
}

/** `where` is what was tried, as the start of a sentence: `creating orders`. `detail` is what the broker added. */
export function kafkaError(
  code: number,
  where: string,
  options: {
    readonly at?: TopicPartition & { readonly offset?: number }
    readonly detail?: string | null
    readonly cause?: unknown
  } = {},
): LogError {
  const name = errorName(code)
  const known: Readonly<Record<string, { readonly message: string }>> = protocolErrors
  const explained = options.detail ?? known[name]?.message ?? ''
  const message = UNAUTHORIZED.has(code)
    ? `${where}: the user has no right to (${name}); docs/kafka-security.md lists what is needed`
    : `${where}: ${name}${explained === '' ? '' : `, ${explained}`}`
  return new LogError(MEANINGS.get(code) ?? 'LOG_UNAVAILABLE', message, {
    retriable: isRetriable(code),
    ...(options.at === undefined ? {} : { at: options.at }),
    ...(options.cause === undefined ? {} : { cause: options.cause }),
  })
}

/**
 * The answer of a request, whole, also if it carries error codes: the library throws one that does. Every code in it is then
 * the caller's to look at.
 */
export async function answerOf<T>(request: Promise<T>): Promise<T> {
  try {
    return await request
  } catch (error) {
    if (error instanceof ResponseError) return error['response']
    throw error
  }
}

/** The first error code that a thrown answer carries; undefined if it is no answer. */
export function codeIn(error: unknown): number | undefined {
  if (!(error instanceof ResponseError)) return undefined
  for (const each of error.errors) {
    if (each instanceof ProtocolError && typeof each['apiCode'] === 'number') return each['apiCode']
  }
  return undefined
}

/** Any failure of a request as a LogError: for callers that have nothing to add. */
export function asLogError(error: unknown, where: string): unknown {
  if (error instanceof LogError) return error
  const code = codeIn(error)
  return code === undefined ? error : kafkaError(code, where, { cause: error })
}

/** Whether the connection failed, as opposed to what was asked over it. */
export function isConnectionError(error: unknown): error is Error {
  if (!(error instanceof GenericError)) return false
  // The library gives its time-outs the code of a network error, and a user error to who comes without TLS.
  return [NetworkError.code, AuthenticationError.code, UserError.code].some(
    (code) => code === error.code,
  )
}
