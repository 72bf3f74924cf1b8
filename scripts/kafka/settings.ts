/**
 * The `server.properties` of a combined broker and controller, made for tests: quick groups, small internal topics,
 * prompt cleaning.
 *
 * Invariant: pure text from its input; what durability asks for (replication, min ISR, acks) is as in production.
 */
import { LISTENER_KINDS, listenersOf } from './listeners.ts'
import type { Listener } from './listeners.ts'
import { securitySettings } from './security.ts'

export interface BrokerPlan {
  readonly id: number
  /** Identifies the data folder within the quorum. */
  readonly directoryId: string
  readonly ports: Readonly<Partial<Record<Listener, number>>>
  /** What clients of the PROXIED listener are told. */
  readonly proxyPort?: number
}

export interface ClusterPlan {
  readonly clusterId: string
  readonly sasl: boolean
  readonly tls: boolean
  readonly proxied?: boolean
  readonly brokers: readonly BrokerPlan[]
  /** Broker settings that replace the ones below. */
  readonly settings: Readonly<Record<string, string>>
}

export const HOST = '127.0.0.1'

export function addresses(plan: ClusterPlan, listener: Listener): string | undefined {
  const ports = plan.brokers.map(({ ports }) => ports[listener])
  return ports.includes(undefined) ? undefined : ports.map((port) => `${HOST}:${port}`).join(',')
}

/** What `StorageTool format --initial-controllers` takes. */
export function initialControllers(plan: ClusterPlan): string {
  return plan.brokers
    .map(({ id, ports, directoryId }) => `${id}@${HOST}:${ports.CONTROLLER}:${directoryId}`)
    .join(',')
}

export function serverProperties(
  plan: ClusterPlan,
  broker: BrokerPlan,
  dataFolder: string,
  securityFolder: string,
): string {
  const replicas = Math.min(3, plan.brokers.length)
  const isrMin = replicas >= 3 ? 2 : 1
  const listeners = listenersOf(plan)
  const each = (text: (name: Listener) => string): string => listeners.map(text).join(',')
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': broker.id,
    'log.dirs': dataFolder,
    'controller.quorum.bootstrap.servers': addresses(plan, 'CONTROLLER') ?? '',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: each((name) => `${name}://${HOST}:${broker.ports[name]}`),
    ...advertised(broker, listeners),
    'listener.security.protocol.map': each((name) => `${name}:${LISTENER_KINDS[name].protocol}`),

    'default.replication.factor': replicas,
    'min.insync.replicas': isrMin,
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 5,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': isrMin,
    'transaction.state.log.num.partitions': 5,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': isrMin,
    'share.coordinator.state.topic.num.partitions': 1,

    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
    // A broker that died is noticed after this long; longer than the pauses of a busy test machine.
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,

    // Retention and compaction settle within seconds; what may be cleaned still follows each topic's own config.
    'log.initial.task.delay.ms': 500,
    'log.retention.check.interval.ms': 1000,
    'log.segment.delete.delay.ms': 1000,
    'log.cleaner.backoff.ms': 500,
    'log.cleaner.dedupe.buffer.size': 16 << 20,

    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'num.replica.fetchers': 1,
    ...securitySettings(plan, securityFolder),
    ...plan.settings,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Needed only where an address is not the one that the broker listens on. */
function advertised(
  { ports, proxyPort }: BrokerPlan,
  listeners: readonly Listener[],
): Record<string, string> {
  if (proxyPort === undefined) return {}
  const port = (name: Listener): number | undefined =>
    name === 'PROXIED' ? proxyPort : ports[name]
  const names = listeners.filter((name) => name !== 'CONTROLLER')
  return {
    'advertised.listeners': names.map((name) => `${name}://${HOST}:${port(name)}`).join(','),
  }
}
