/**
 * Reads `kafka://host:9092,host2:9092?sasl=SCRAM-SHA-512&ca=ca.pem` and what the environment adds to it.
 *
 * Invariant: secrets come from the environment or from code, never from the URL, which is printed; what is misspelt is refused.
 */
import { LogError } from '../log.ts'
import {
  type BrokerAddress,
  type KafkaOptions,
  type KafkaSasl,
  type KafkaSettings,
  type KafkaTls,
  SASL_MECHANISMS,
  type SaslMechanism,
} from './kafka-options.ts'

const SCHEME = 'kafka://'
const DEFAULT_PORT = 9092
const DEFAULT_MECHANISM: SaslMechanism = 'SCRAM-SHA-512'
const PEM = '-----BEGIN'

/** By the URL's names; the environment has each as `MILLRACE_KAFKA_…`, in capitals: `MILLRACE_KAFKA_CA`. */
const NAMES = [
  'tls',
  'ca',
  'cert',
  'key',
  'serverName',
  'sasl',
  'username',
  'clientId',
  'replication',
  'transactionTimeoutMs',
] as const
const SECRET_NAMES = ['password', 'keyPassword'] as const
type Name = (typeof NAMES)[number] | (typeof SECRET_NAMES)[number]
type Texts = Readonly<Partial<Record<Name, string>>>
type Environment = Readonly<Record<string, string | undefined>>

/** The URL's word counts before that of `settings`, and both before the environment's. Files of certificates are read. */
export async function kafkaOptions(
  url: string,
  settings: KafkaSettings = {},
  environment: Environment = process.env,
): Promise<KafkaOptions> {
  const { brokers, texts } = readUrl(url)
  const given = settings.sasl !== undefined || settings.tls !== undefined
  // Credentials of the environment are not mixed into others.
  const said: Texts = { ...(given ? {} : readEnvironment(environment)), ...texts }
  const tls = await tlsOf(said, settings.tls)
  const sasl = saslOf(said, settings.sasl)
  const { clientId = settings.clientId } = said
  const replicationFactor = integerOf('replication', said.replication) ?? settings.replicationFactor
  const transactionTimeoutMs =
    integerOf('transactionTimeoutMs', said.transactionTimeoutMs) ?? settings.transactionTimeoutMs
  return {
    brokers,
    ...(tls && { tls }),
    ...(sasl && { sasl }),
    ...(clientId !== undefined && { clientId }),
    ...(replicationFactor !== undefined && { replicationFactor }),
    ...(transactionTimeoutMs !== undefined && { transactionTimeoutMs }),
  }
}

function readUrl(url: string): { brokers: readonly BrokerAddress[]; texts: Texts } {
  const [hosts = '', query = ''] = url.slice(SCHEME.length).split('?', 2)
  if (hosts.includes('@')) {
    throw refused(
      'users and passwords are not part of the URL: set MILLRACE_KAFKA_USERNAME and _PASSWORD',
    )
  }
  const brokers = hosts.replace(/\/$/, '').split(',').map(readAddress)
  const texts: Partial<Record<Name, string>> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (isOneOf(SECRET_NAMES, name)) {
      throw refused(`no ${name} in the URL, which is printed: set ${environmentName(name)}`)
    }
    if (!isOneOf(NAMES, name)) {
      throw refused(`there is no option ${JSON.stringify(name)}; there are ${NAMES.join(', ')}`)
    }
    texts[name] = value
  }
  return { brokers, texts }
}

function readAddress(text: string): BrokerAddress {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+)(?::(\d{1,5}))?$/.exec(text)
  const port = Number(found?.[2] ?? DEFAULT_PORT)
  const [, host] = found ?? []
  if (host === undefined || port < 1 || port > 65_535) {
    throw refused(`${JSON.stringify(text)} is no broker: use kafka://HOST:PORT,HOST:PORT`)
  }
  return { host: host.replace(/^\[|\]$/g, ''), port }
}

function readEnvironment(environment: Environment): Texts {
  const texts: Partial<Record<Name, string>> = {}
  for (const name of [...NAMES, ...SECRET_NAMES]) {
    const value = environment[environmentName(name)]
    if (value !== undefined && value !== '') texts[name] = value
  }
  return texts
}

function environmentName(name: Name): string {
  return `MILLRACE_KAFKA_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

async function tlsOf(texts: Texts, given: KafkaTls | undefined): Promise<KafkaTls | undefined> {
  const { tls: wanted, ca, cert, key, keyPassword, serverName } = texts
  const isWanted = wanted === undefined ? undefined : booleanOf('tls', wanted)
  if (isWanted === false) return undefined
  const isNamed = [ca, cert, key, serverName].some((text) => text !== undefined)
  if (isWanted === undefined && !isNamed && given === undefined) return undefined
  if ((cert ?? given?.cert) === undefined && (key ?? given?.key) !== undefined) {
    throw refused('a key is of no use without its certificate: set cert')
  }
  if ((cert ?? given?.cert) !== undefined && (key ?? given?.key) === undefined) {
    throw refused('a certificate is of no use without its key: set key')
  }
  return {
    ...given,
    ...(ca !== undefined && { ca: await pemOf('ca', ca) }),
    ...(cert !== undefined && { cert: await pemOf('cert', cert) }),
    ...(key !== undefined && { key: await pemOf('key', key) }),
    ...(keyPassword !== undefined && { keyPassword }),
    ...(serverName !== undefined && { serverName }),
  }
}

/** The text of a file, or PEM as it stands. */
async function pemOf(name: Name, text: string): Promise<string> {
  if (text.startsWith(PEM)) return text
  const pem = await Bun.file(text)
    .text()
    .catch(() => undefined)
  if (pem === undefined) throw refused(`${name}: the file ${text} cannot be read`)
  if (!pem.includes(PEM)) throw refused(`${name}: the file ${text} is not PEM`)
  return pem
}

function saslOf(texts: Texts, given: KafkaSasl | undefined): KafkaSasl | undefined {
  const { sasl, username = given?.username, password = given?.password } = texts
  if (sasl === undefined && username === undefined) return undefined
  const mechanism = sasl ?? given?.mechanism ?? DEFAULT_MECHANISM
  if (!isOneOf(SASL_MECHANISMS, mechanism)) {
    throw refused(`sasl ${JSON.stringify(mechanism)}: use one of ${SASL_MECHANISMS.join(', ')}`)
  }
  if (username === undefined) throw refused('a user is missing: set MILLRACE_KAFKA_USERNAME')
  if (password === undefined) throw refused('a password is missing: set MILLRACE_KAFKA_PASSWORD')
  return { mechanism, username, password }
}

function booleanOf(name: Name, text: string): boolean {
  if (text === 'true' || text === '') return true
  if (text === 'false') return false
  throw refused(`${name} is true or false, not ${JSON.stringify(text)}`)
}

function integerOf(name: Name, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
    throw refused(`${name} is a whole number from 1 on, not ${JSON.stringify(text)}`)
  }
  return Number(text)
}

function isOneOf<T extends string>(all: readonly T[], text: string): text is T {
  const texts: readonly string[] = all
  return texts.includes(text)
}

function refused(message: string): LogError {
  return new LogError('LOG_REFUSED', `kafka: ${message}`)
}
