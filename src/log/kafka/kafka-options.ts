/**
 * Where a Kafka cluster is and how it is entered: plain data, so that it crosses to other threads.
 *
 * Invariant: nothing in it is ever printed but hosts, ports and the name of the user.
 */

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

export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
export type SaslMechanism = (typeof SASL_MECHANISMS)[number]

export interface KafkaSasl {
  readonly mechanism: SaslMechanism
  readonly username: string
  readonly password: string
}

/** What is chosen beside the brokers' addresses. */
export interface KafkaSettings {
  /** `{}` is TLS with the authorities of the system. */
  readonly tls?: KafkaTls
  readonly sasl?: KafkaSasl
  /** What brokers call this client in their logs and quotas; `millrace` unless said. */
  readonly clientId?: string
  /** Copies of each partition of a topic that is created here; −1, unless said, is what the brokers are set to. */
  readonly replicationFactor?: number
  /** A transaction open for longer is aborted by the brokers; 20 s unless said. */
  readonly transactionTimeoutMs?: number
}

export interface KafkaOptions extends KafkaSettings {
  /** Some of the brokers; the rest is learned from them. */
  readonly brokers: readonly BrokerAddress[]
}
