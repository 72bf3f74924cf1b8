/**
 * One clear line for a connection that could not be made or has ended: unreachable, wrong password, unknown CA.
 *
 * Invariant: no line holds a password, a key, or anything the client library printed of them.
 */
import { AuthenticationError } from '@platformatic/kafka'

import { LogError } from '../log.ts'
import type { BrokerAddress, KafkaOptions } from './kafka-options.ts'

/** LOG_REFUSED for what will not pass by itself, LOG_UNAVAILABLE for the rest. */
export function connectionFailure(
  error: unknown,
  { host, port }: BrokerAddress,
  { sasl }: KafkaOptions,
): LogError {
  const where = `${host}:${port}`
  const causes = causesOf(error)
  if (causes.some((cause) => cause instanceof AuthenticationError)) {
    const who = sasl === undefined ? '' : ` of ${sasl.username} (${sasl.mechanism})`
    return new LogError('LOG_REFUSED', `${where} refused the credentials${who}`)
  }
  const [root] = causes.slice(-1)
  const message = root instanceof Error ? root.message : String(root)
  return new LogError('LOG_UNAVAILABLE', `${where}: ${message}`, { retriable: true })
}

/** The error and what it says was behind it, outermost first. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = []
  for (let each = error; each !== undefined && each !== null && causes.length < 10;) {
    causes.push(each)
    each = each instanceof Error ? each.cause : undefined
  }
  return causes
}
