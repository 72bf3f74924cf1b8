/**
 * One clear line for a connection that could not be made or has ended: unreachable, wrong password, unknown authority.
 *
 * Invariant: no line holds a password, a key, or anything that the client library printed of them, and no cause is attached
 * that might.
 */

import { LogError } from '../log.ts'
import { codeIn, errorName } from './errors.ts'
import type { BrokerAddress, KafkaOptions } from './kafka-options.ts'
import { client } from './client.ts'

const { AuthenticationError, NetworkError, UserError } = client

/** What OpenSSL calls a certificate that nobody we trust vouches for. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
])

/** LOG_REFUSED for what will not pass by itself, LOG_UNAVAILABLE for the rest. */
export function connectionFailure(
  error: unknown,
  { host, port }: BrokerAddress,
  options: KafkaOptions,
): LogError {
  const where = `${host}:${port}`
  const causes = causesOf(error)
  const refusal =
    refusedCredentials(causes, options) ?? refusedTls(causes, host) ?? wrongListener(causes)
  if (refusal !== undefined) return new LogError('LOG_REFUSED', `${where} ${refusal}`)
  if (causes.some((cause) => cause instanceof NetworkError && cause.cause === undefined)) {
    const message = `${where} closed the connection`
    return new LogError('LOG_UNAVAILABLE', message, { retriable: true })
  }
  const [root] = causes.slice(-1)
  const message = root instanceof Error ? root.message : 'no reason given'
  return new LogError('LOG_UNAVAILABLE', `${where} cannot be reached: ${message}`, {
    retriable: true,
  })
}

function refusedCredentials(
  causes: readonly unknown[],
  { sasl }: KafkaOptions,
): string | undefined {
  const authentication = causes.find((cause) => cause instanceof AuthenticationError)
  if (authentication === undefined || sasl === undefined) return undefined
  const { mechanism, username } = sasl
  if (authentication.message.startsWith('Cannot find')) {
    const code = causes.map(codeIn).find((found) => found !== undefined)
    const answer = code === undefined ? '' : ` (${errorName(code)})`
    return `takes no user by ${mechanism}${answer}: choose another mechanism or listener`
  }
  return `refused the password or the user ${username} (${mechanism})`
}

function refusedTls(causes: readonly unknown[], host: string): string | undefined {
  for (const cause of causes) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (UNTRUSTED.has(code)) {
      return `has a certificate of an unknown authority (${code}): name its CA with ?ca=FILE`
    }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return `has a certificate of another name than ${host}: see serverName`
    }
    if (code.startsWith('CERT_')) return `has a certificate that cannot be used (${code})`
    if (code === 'ERR_BORINGSSL' || code.startsWith('ERR_OSSL_')) {
      return `is not entered: the CA, certificate or key given cannot be used (${code})`
    }
    if (code.startsWith('ERR_SSL_')) return `ended the TLS handshake (${code})`
  }
  return undefined
}

function wrongListener(causes: readonly unknown[]): string | undefined {
  const user = causes.find((cause) => cause instanceof UserError)
  if (user === undefined) return undefined
  return user.message === 'Broker requires TLS.'
    ? 'speaks TLS: add ?tls=true or ?ca=FILE'
    : 'does not speak TLS: choose another listener, or leave TLS out'
}

/** A broker that wants more of who comes says nothing, and closes: what a cluster that cannot be opened may be asking for. */
export function hinted(error: unknown, { tls, sasl }: KafkaOptions): unknown {
  if (!(error instanceof LogError) || error.code !== 'LOG_UNAVAILABLE') return error
  if (!error.message.endsWith(' closed the connection')) return error
  const wants: string[] = []
  if (tls === undefined) wants.push('TLS (?ca=FILE)')
  else if (tls.cert === undefined) wants.push('a certificate of ours (?cert=FILE&key=FILE)')
  else wants.push('another certificate')
  if (sasl === undefined) wants.push('a user (?sasl=MECHANISM, MILLRACE_KAFKA_USERNAME, _PASSWORD)')
  const message = `${error.message} without a word: it may want ${wants.join(' or ')}`
  return new LogError(error.code, message, { retriable: error.retriable })
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
