/**
 * Puts campus together: log, applications, ingress; starts all of it or nothing, and takes it down in order.
 *
 * Invariant: after `close` everything accepted is committed, and no file is held.
 */
import { mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  openLog,
  type Clock,
  type Failpoint,
  type Log,
  type LogWriter,
  type Observer,
  type Random,
  type TopologySource,
} from '#millrace'
import { analyticsTopology } from './analytics.ts'
import { Applications } from './applications.ts'
import type { Flags } from './flags.ts'
import { createIngress, type Ingress } from './ingress.ts'
import { inventoryTopology } from './inventory.ts'
import { LiveViews } from './live-views.ts'
import { notificationsTopology } from './notifications.ts'
import { isOnBrokers, openIntake, type OpenIntake } from './open-intake.ts'
import { INVENTORY_ID } from './order-lookup.ts'
import { Pressure } from './pressure.ts'
import { Requests } from './requests.ts'
import { seedStock } from './seed.ts'
import { campusTopics } from './topics.ts'

export interface Machine {
  readonly clock: Clock
  readonly random: Random
  readonly observer: Observer
  readonly failpoint: Failpoint
  /** The same for worker threads, which a function cannot reach. */
  readonly failpointSetting?: string | undefined
}

const FREE_BYTES_MIN = 256 * 1024 * 1024
const FORGET_ROWS_MAX = 10_000

/** Where a worker thread finds a topology, by application. */
const MODULES: Readonly<Record<string, { readonly module: string; readonly export: string }>> = {
  inventory: { module: import.meta.resolve('./inventory.ts'), export: 'inventoryTopology' },
  analytics: { module: import.meta.resolve('./analytics.ts'), export: 'analyticsTopology' },
  notifications: {
    module: import.meta.resolve('./notifications.ts'),
    export: 'notificationsTopology',
  },
}
const TOPOLOGIES: Readonly<Record<string, TopologySource>> = {
  inventory: inventoryTopology,
  analytics: analyticsTopology,
  notifications: notificationsTopology,
}

export class Campus {
  readonly url: string
  readonly applications: Applications
  readonly ingress: Ingress
  readonly views: LiveViews
  readonly #log: Log
  readonly #writer: LogWriter
  readonly #requests: Requests
  readonly #intake: OpenIntake
  readonly #pressure: Pressure
  readonly #server: ReturnType<typeof Bun.serve>
  readonly #draining: AbortController

  private constructor(parts: {
    readonly log: Log
    readonly writer: LogWriter
    readonly requests: Requests
    readonly intake: OpenIntake
    readonly pressure: Pressure
    readonly applications: Applications
    readonly views: LiveViews
    readonly ingress: Ingress
    readonly server: ReturnType<typeof Bun.serve>
    readonly draining: AbortController
  }) {
    this.#log = parts.log
    this.#writer = parts.writer
    this.#requests = parts.requests
    this.#intake = parts.intake
    this.#pressure = parts.pressure
    this.#server = parts.server
    this.#draining = parts.draining
    this.applications = parts.applications
    this.views = parts.views
    this.ingress = parts.ingress
    this.url = `http://${parts.server.hostname}:${parts.server.port}`
  }

  static async start(flags: Flags, machine: Machine): Promise<Campus> {
    const { clock, random } = machine
    const { folder, state, requests: requestsPath } = placesOf(flags.log)
    // Taken back in reverse order if a later step fails, so that nothing is left half started.
    const undo: (() => Promise<void> | void)[] = []
    const holding = <T>(thing: T, release: (thing: T) => Promise<unknown> | void): T => {
      undo.push(async () => void (await release(thing)))
      return thing
    }
    const draining = new AbortController()
    const onBrokers = isOnBrokers(flags.log)
    try {
      // The port first: a second campus on the same port must not touch the first one's files.
      let handle: Ingress['fetch'] = () => new Response('starting', { status: 503 })
      const server = holding(
        Bun.serve({
          port: flags.port,
          hostname: flags.host,
          idleTimeout: 30,
          maxRequestBodySize: 1_048_576,
          fetch: (request) => handle(request),
        }),
        (one) => one.stop(true),
      )
      const log = holding(await openLog(flags.log, { ...machine, ...maintenance(flags) }), (one) =>
        one.close(),
      )
      // After the log, which refuses what is wrong with the place.
      mkdirSync(folder, { recursive: true })
      await log.createTopics(campusTopics(flags.partitions))
      await seedStock(log, flags.partitions, clock.nowMs())
      const writer = holding(await log.writer(), (one) => one.close())
      const requests = holding(new Requests(requestsPath), (one) => one.close())
      requests.forget(clock.nowMs(), FORGET_ROWS_MAX)
      const applications = holding(
        new Applications(sourcesOf(flags), {
          clock,
          random,
          observer: machine.observer,
          failpoint: machine.failpoint,
          log,
          stateDir: state,
          workers: flags.workers,
          ...(machine.failpointSetting !== undefined && {
            failpointSetting: machine.failpointSetting,
          }),
          commitIntervalMs: flags.commitIntervalMs,
        }),
        (one) => one.stopAll(),
      )
      await applications.startAll()
      const views = holding(await LiveViews.open(log, flags.partitions), (one) => one.close())
      const limits = {
        lagRecordsMax: flags.lagMax,
        freeBytesMin: FREE_BYTES_MIN,
        mayLogBeAway: onBrokers,
      }
      const pressure = holding(
        new Pressure(clock, folder, limits, () => applications.lag(INVENTORY_ID)),
        (one) => one.close(),
      )
      const { partitions } = flags
      const outboxPath = onBrokers ? requestsPath : undefined
      const intake = holding(
        openIntake({ ...machine, writer, requests, partitions, outboxPath }),
        (one) => one.close(),
      )
      const ingress = createIngress({
        intake: intake.intake,
        requests,
        applications,
        views,
        pressure,
        clock,
        random,
        draining: draining.signal,
      })
      handle = ingress.fetch
      return new Campus({
        log,
        writer,
        requests,
        intake,
        pressure,
        applications,
        views,
        ingress,
        server,
        draining,
      })
    } catch (error) {
      for (const release of undo.toReversed()) await release()
      throw error
    }
  }

  /** Takes nothing new, lets what was accepted reach the log, commits, and lets go of every file. */
  async close(): Promise<void> {
    this.#draining.abort()
    await this.#server.stop()
    await this.#intake.close()
    await this.applications.stopAll()
    await this.#pressure.close()
    await this.views.close()
    await this.#writer.close()
    this.#requests.close()
    await this.#log.close()
  }
}

/**
 * State and the ingress's memory lie beside the log: `data/state` and `data/ingress.db` for `data/campus.db`, under the log's
 * own name for another file, because two logs must not share them. A log that is no file leaves them in `data`.
 */
function placesOf(log: string): Record<'folder' | 'state' | 'requests', string> {
  const path = log.startsWith('sqlite:') ? log.slice('sqlite:'.length) : 'data/campus.db'
  const folder = dirname(path)
  const name = basename(path, '.db')
  const prefix = name === 'campus' ? '' : `${name}-`
  return {
    folder,
    state: join(folder, `${prefix}state`),
    requests: join(folder, `${prefix}ingress.db`),
  }
}

function sourcesOf(flags: Flags): ReadonlyMap<string, TopologySource> {
  const table = flags.workers > 1 ? MODULES : TOPOLOGIES
  const sources = new Map<string, TopologySource>()
  for (const name of flags.only) {
    const source = table[name]
    if (source !== undefined) sources.set(`campus-${name}`, source)
  }
  return sources
}

function maintenance({ maintenanceMs }: Flags): { readonly maintenanceMs?: number } {
  return maintenanceMs === undefined ? {} : { maintenanceMs }
}
