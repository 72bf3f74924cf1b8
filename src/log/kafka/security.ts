/**
 * Where a Kafka cluster is and how it is entered: plain data, so that it crosses to other threads.
 *
 * Invariant: nothing in it is ever printed but hosts, ports and the name of the user.
 */
import type { ConnectionOptions, SASLOptions } from '@platformatic/kafka'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export interface KafkaTls {
  /** Certificates in PEM that may vouch for the brokers; those of the system unless given. */
  readonly ca?: string
  /** Our own certificate and key in PEM, where brokers ask for one. */
  readonly cert?: string
  readonly key?: string
  readonly keyPassword?: string
  /** The name to look for in the brokers' certificates, where it is not the host's. */
  readonly serverName?: string
}

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

export interface KafkaSasl {
  readonly mechanism: SaslMechanism
  readonly username: string
  readonly password: string
}

export interface KafkaOptions {
  /** Some of the brokers; the rest is learned from them. */
  readonly brokers: readonly BrokerAddress[]
  readonly tls?: KafkaTls
  readonly sasl?: KafkaSasl
  /** What brokers call this client in their logs and quotas; `millrace` unless said. */
  readonly clientId?: string
  /** Copies of each partition of a topic that is created here; −1, unless said, is what the brokers are set to. */
  readonly replicationFactor?: number
  /** A transaction open for longer is aborted by the brokers; 60 s unless said. */
  readonly transactionTimeoutMs?: number
}

/** The options in the client library's words. */
export function connectionOptions({ tls, sasl }: KafkaOptions): ConnectionOptions {
  const options: ConnectionOptions = {}
  if (tls !== undefined) {
    options.tls = {}
    if (tls.ca !== undefined) options.tls.ca = tls.ca
    if (tls.cert !== undefined) options.tls.cert = tls.cert
    if (tls.key !== undefined) options.tls.key = tls.key
    if (tls.keyPassword !== undefined) options.tls.passphrase = tls.keyPassword
    // True sends the host's own name.
    options.tlsServerName = tls.serverName ?? true
  }
  if (sasl !== undefined) options.sasl = saslOptions(sasl)
  return options
}

function saslOptions({ mechanism, username, password }: KafkaSasl): SASLOptions {
  return { mechanism, username, password }
}
