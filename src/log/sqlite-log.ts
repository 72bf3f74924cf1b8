/**
 * The embedded log: one SQLite file, no broker.
 *
 * The thread that opens it owns the process's one writer connection; the others connect through `share()`, read by
 * themselves and send what they write to the owner as messages.
 *
 * Invariant: a commit is one SQLite transaction, and what is acknowledged is as durable as `durability` says.
 */
import { type Clock, type Failpoint, noFailpoint, type Random } from '#system'

import { LogError, type Log, type LogShare } from './log.ts'
import type { Durability } from './sqlite/connection.ts'
import { prepareLogFile } from './sqlite/log-file.ts'
import { PortChannel, ServedPort } from './sqlite/message-channel.ts'
import { ReadHandle } from './sqlite/read-handle.ts'
import { SqliteLog } from './sqlite/sqlite-log-handle.ts'
import { WriteQueue } from './sqlite/write-queue.ts'
import { WriteTurns } from './sqlite/write-turns.ts'
import { WriterConnection } from './sqlite/writer-connection.ts'

export type { Durability } from './sqlite/connection.ts'

/** Places where a drill may kill the process, in the order in which a commit passes them; the rest is maintenance. */
export const SQLITE_FAILPOINTS: readonly string[] = [
  'log:received',
  'log:before-commit',
  'log:after-commit',
]

export interface SqliteLogOptions {
  readonly clock: Clock
  readonly random: Random
  /** `power` (default) syncs before it acknowledges; `process` may lose the last commits to a power cut. */
  readonly durability?: Durability
  readonly failpoint?: Failpoint
  /** False refuses a path where no log is; by default one is made. */
  readonly create?: boolean
}

/** Opens the log in the file at `path`, and owns this process's writing to it. LOG_REFUSED says what is wrong with the file. */
export async function openSqliteLog(path: string, options: SqliteLogOptions): Promise<Log> {
  const { clock, random, durability = 'power', failpoint = noFailpoint, create = true } = options
  prepareLogFile(path, { create, random })
  const connection = new WriterConnection({ path, durability, clock, random, failpoint })
  const handle = new ReadHandle(path, { clock, random })
  const ports = new Set<ServedPort>()
  const changed = (): void => {
    handle.signal.notify()
    for (const port of ports) port.changed()
  }
  const turns = new WriteTurns(path, { clock, random })
  const queue = new WriteQueue(connection, turns, { clock, random, failpoint, changed })
  const end = {
    share(): LogShare {
      const { port1, port2 } = new MessageChannel()
      ports.add(new ServedPort(port1, queue, (served) => ports.delete(served)))
      return { driver: 'sqlite', value: { path, port: port2 }, transfer: [port2] }
    },
    async close(): Promise<void> {
      for (const port of ports) port.close()
      await queue.close()
      turns.close()
      connection.close()
    },
  }
  return new SqliteLog(handle, queue, { random, end })
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
  const handle = new ReadHandle(path, { clock, random })
  const channel = new PortChannel(port, () => handle.signal.notify())
  const end = {
    share(): LogShare {
      throw new LogError('LOG_MISUSE', 'only the thread that opened a log shares it')
    },
    async close(): Promise<void> {
      channel.close()
    },
  }
  return new SqliteLog(handle, channel, { random, end })
}

function isShared(value: unknown): value is { readonly path: string; readonly port: MessagePort } {
  return typeof value === 'object' && value !== null && 'path' in value && 'port' in value
}
