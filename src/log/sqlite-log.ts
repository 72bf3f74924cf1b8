/**
 * The embedded log: one SQLite file, no broker.
 *
 * The thread that opens it owns the process's one writer connection; the others connect through `share()`, read by
 * themselves and send what they write to the owner as messages.
 *
 * Invariant: a commit is one SQLite transaction, and what is acknowledged is as durable as `durability` says.
 */
import { type Clock, type Failpoint, noFailpoint, type Random } from '#system'

import { type Log, LogError, type LogShare } from './log.ts'
import { type Durability, untilFree } from './sqlite/connection.ts'
import { prepareLogFile } from './sqlite/log-file.ts'
import { PortChannel } from './sqlite/message-channel.ts'
import { ReadHandle } from './sqlite/read-handle.ts'
import { SqliteLogOwner } from './sqlite/sqlite-log-owner.ts'
import { SqliteLog } from './sqlite/sqlite-log-handle.ts'

export type { Durability } from './sqlite/connection.ts'

/** Places where a drill may kill the process, in the order in which a commit passes them; the rest is maintenance. */
export const SQLITE_FAILPOINTS: readonly string[] = [
  'log:received',
  'log:before-commit',
  'log:after-commit',
  'log:compaction',
  'log:closing',
]

export interface SqliteLogOptions {
  readonly clock: Clock
  readonly random: Random
  /** `power` (default) syncs before it acknowledges; `process` may lose the last commits to a power cut. */
  readonly durability?: Durability
  readonly failpoint?: Failpoint
  /** False refuses a path where no log is; by default one is made. */
  readonly create?: boolean
  /** Between two rounds of retention and compaction; 30 s unless said. */
  readonly maintenanceIntervalMs?: number
  /** Which boot of the machine this is; what the system says unless said. */
  readonly bootId?: string
}

/** The log of the thread that owns it. */
export interface OwnedLog extends Log {
  /** Runs retention and compaction to their end, which goes on in the background anyway. */
  settleMaintenance(): Promise<void>
}

/** Opens the log in the file at `path`, and owns this process's writing to it. LOG_REFUSED says what is wrong with the file. */
export async function openSqliteLog(path: string, options: SqliteLogOptions): Promise<OwnedLog> {
  const { random, create = true, failpoint = noFailpoint } = options
  prepareLogFile(path, { create, random })
  return SqliteLogOwner.open(path, { ...options, failpoint })
}

/** Reaches, from another thread of the process, the log that `share` was taken from. */
export async function connectSqliteLog(
  share: LogShare,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Log> {
  if (share.driver !== 'sqlite' || !isShared(share.value)) {
    throw new LogError('LOG_MISUSE', `a share of a ${share.driver} log is not one of an SQLite log`)
  }
  const { path, port } = share.value
  const handle = await untilFree(clock, () => new ReadHandle(path, { clock, random }))
  const channel = new PortChannel(port, () => handle.signal.notify())
  return new SqliteLog(handle, channel, {
    random,
    share() {
      throw new LogError('LOG_MISUSE', 'only the thread that opened a log shares it')
    },
    async close() {
      channel.close()
    },
  })
}

function isShared(value: unknown): value is { readonly path: string; readonly port: MessagePort } {
  return typeof value === 'object' && value !== null && 'path' in value && 'port' in value
}
