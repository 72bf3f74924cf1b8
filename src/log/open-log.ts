/**
 * Opens the log that a URL names, loading only the driver it needs.
 *
 * Invariant: a URL that no driver takes opens nothing and says what would have been right.
 */
import {
  type Clock,
  type Failpoint,
  noFailpoint,
  type Random,
  systemClock,
  systemRandom,
} from '#system'

import type { KafkaSettings } from './kafka/kafka-options.ts'
import { type Log, LogError } from './log.ts'

export interface OpenLogOptions {
  readonly clock?: Clock
  readonly random?: Random
  readonly failpoint?: Failpoint
  /** `sqlite:` only: what an acknowledged append survives. `power` unless said. */
  readonly durability?: 'power' | 'process'
  /** `sqlite:` only: false refuses a path where no log is. */
  readonly create?: boolean
  /** `kafka:` only: what the URL and the environment (`MILLRACE_KAFKA_…`) do not say. */
  readonly kafka?: KafkaSettings
}

/** `memory:`, `sqlite:data/campus.db`, `kafka://host:9092,host2:9092?sasl=SCRAM-SHA-512&ca=ca.pem`. */
export async function openLog(url: string, options: OpenLogOptions = {}): Promise<Log> {
  const { clock = systemClock, random = systemRandom, failpoint = noFailpoint } = options
  const { durability = 'power', create = true } = options
  if (url === 'memory:') {
    const { createMemoryLog } = await import('./memory-log.ts')
    return createMemoryLog({ clock, random })
  }
  if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length) {
    const { openSqliteLog } = await import('./sqlite-log.ts')
    const path = url.slice('sqlite:'.length)
    return openSqliteLog(path, { clock, random, failpoint, durability, create })
  }
  if (url.startsWith('kafka://')) {
    const { kafkaOptions, openKafkaLog } = await import('./kafka-log.ts')
    return openKafkaLog(await kafkaOptions(url, options.kafka), { clock, random, failpoint })
  }
  throw new LogError(
    'LOG_REFUSED',
    `${JSON.stringify(url)} is not a log: use sqlite:PATH, memory: or kafka://HOST:PORT`,
  )
}
