/**
 * The end of the log that owns it in this process: the writer connection, what shares it, and what goes on behind it.
 *
 * Invariant: everything here lives in one thread, and ends in `close`, what writes before what is written to.
 */
import { type Clock, type Failpoint, type Random, readBootId } from '#system'

import { LogError, type LogShare } from '../log.ts'
import { Checkpointer } from './checkpointer.ts'
import { type Durability, untilFree } from './connection.ts'
import { refused } from './log-file.ts'
import { Maintenance } from './maintenance.ts'
import { ServedPort } from './message-channel.ts'
import { UNKNOWN_BOOT } from './open-marks.ts'
import { ReadHandle } from './read-handle.ts'
import { SqliteLog } from './sqlite-log-handle.ts'
import { WriteQueue } from './write-queue.ts'
import { WriteTurns } from './write-turns.ts'
import { WriterConnection } from './writer-connection.ts'

const MAINTENANCE_INTERVAL_MS = 30_000

export interface OwnerOptions {
  readonly clock: Clock
  readonly random: Random
  readonly failpoint: Failpoint
  readonly durability?: Durability
  readonly maintenanceIntervalMs?: number
  readonly bootId?: string
}

interface OwnerParts {
  readonly path: string
  readonly opener: string
  readonly connection: WriterConnection
  readonly turns: WriteTurns
  readonly checkpointer: Checkpointer
  readonly queue: WriteQueue
  readonly ports: Set<ServedPort>
}

export class SqliteLogOwner extends SqliteLog {
  readonly #maintenance: Maintenance

  /** LOG_REFUSED if SQLite cannot make anything of the file, or not write to it. */
  static async open(path: string, options: OwnerOptions): Promise<SqliteLogOwner> {
    const { clock, random, failpoint, durability = 'power' } = options
    const opened: { close(): void }[] = []
    const keep = <T extends { close(): void }>(resource: T): T => {
      opened.push(resource)
      return resource
    }
    try {
      const handle = keep(await untilFree(clock, () => new ReadHandle(path, { clock, random })))
      const turns = keep(await untilFree(clock, () => new WriteTurns(path, { clock, random })))
      // Synced until the mark is set: it has to be on the disk before anything that is not.
      const writer = { path, durability: 'power', clock, random, failpoint } as const
      const connection = keep(new WriterConnection(writer))
      const checkpointer = new Checkpointer(path)
      const ports = new Set<ServedPort>()
      const changed = (): void => {
        handle.signal.notify()
        for (const port of ports) port.changed()
      }
      const beside = { clock, random, failpoint, turns, checkpointer, changed }
      const queue = new WriteQueue(connection, beside)
      const opener = random.uuid()
      const bootId = options.bootId ?? readBootId() ?? UNKNOWN_BOOT
      await queue.ask('enter-mark', { opener, pid: process.pid, bootId, durability })
      connection.setDurability(durability)
      const parts = { path, opener, connection, turns, checkpointer, queue, ports }
      return new SqliteLogOwner(handle, options, parts)
    } catch (error) {
      for (const resource of opened.toReversed()) resource.close()
      if (error instanceof LogError && error.code === 'LOG_REFUSED') throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw refused(path, `${reason}: restore it from a copy, or choose another path`, error)
    }
  }

  private constructor(handle: ReadHandle, options: OwnerOptions, parts: OwnerParts) {
    const { random, failpoint, maintenanceIntervalMs = MAINTENANCE_INTERVAL_MS } = options
    const maintenance = new Maintenance(handle, parts.queue, {
      random,
      failpoint,
      intervalMs: maintenanceIntervalMs,
    })
    super(handle, parts.queue, {
      random,
      share: () => share(parts),
      async close() {
        failpoint('log:closing')
        await maintenance.close()
        await closeParts(parts)
      },
    })
    this.#maintenance = maintenance
    maintenance.start()
  }

  settleMaintenance(): Promise<void> {
    return this.#maintenance.settle()
  }
}

function share({ path, queue, ports }: OwnerParts): LogShare {
  const { port1, port2 } = new MessageChannel()
  ports.add(new ServedPort(port1, queue, (served) => ports.delete(served)))
  return { driver: 'sqlite', value: { path, port: port2 }, transfer: [port2] }
}

async function closeParts(parts: OwnerParts): Promise<void> {
  const { opener, connection, turns, checkpointer, queue, ports } = parts
  for (const port of ports) port.close()
  // The transaction that takes the mark away is synced, and everything before it with it.
  connection.setDurability('power')
  await queue.ask('leave-mark', { opener }).catch(() => {})
  await queue.close()
  await checkpointer.close()
  turns.close()
  connection.close()
}
