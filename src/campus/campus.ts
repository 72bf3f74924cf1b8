/**
 * Puts campus together: log, applications, ingress; starts all of it or nothing, and takes it down in order.
 *
 * Invariant: after `close` everything accepted is committed, and no file is held.
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import {
  openLog,
  takeInstanceFolder,
  type Clock,
  type Failpoint,
  type Log,
  type Observer,
  type Random,
  type TopologySource,
} from '#millrace'
import { migratedFrom } from '#millrace/migration'
import { analyticsTopology } from './analytics.ts'
import { Applications } from './applications.ts'
import type { Flags } from './flags.ts'
import { createIngress, type Ingress } from './ingress.ts'
import { inventoryTopology } from './inventory.ts'
import { LiveViews } from './live-views.ts'
import { Neighbours } from './neighbours.ts'
import { notificationsTopology } from './notifications.ts'
import { isOnBrokers, openIntake } from './open-intake.ts'
import { inventoryLag } from './inventory-lag.ts'
import { OrderLookup } from './order-lookup.ts'
import { inheritIngressFile, ingressFileOf, placesOf, type Places } from './places.ts'
import { Pressure } from './pressure.ts'
import type { OrderTaking } from './order-routes.ts'
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
  /** Told what the start waits for next. */
  readonly onStep?: (what: string) => void
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

type Release = () => Promise<unknown> | void

export class Campus {
  readonly url: string
  readonly applications: Applications
  readonly ingress: Ingress
  readonly views: LiveViews
  readonly #draining: AbortController
  readonly #releases: readonly Release[]

  private constructor(
    parts: Pick<Campus, 'url' | 'applications' | 'ingress' | 'views'>,
    draining: AbortController,
    releases: readonly Release[],
  ) {
    this.url = parts.url
    this.applications = parts.applications
    this.ingress = parts.ingress
    this.views = parts.views
    this.#draining = draining
    this.#releases = releases
  }

  static async start(flags: Flags, machine: Machine): Promise<Campus> {
    const { clock, random, onStep = () => {} } = machine
    // What was opened last is let go of first: by `close`, and if a later step fails, so that nothing is left half started.
    const releases: Release[] = []
    const holding = <T>(thing: T, release: (thing: T) => Promise<unknown> | void): T => {
      releases.unshift(() => release(thing))
      return thing
    }
    try {
      const places = placesOf(flags.log)
      const { partitions } = flags
      const draining = new AbortController()
      // The port first: a second campus on the same port must not touch the first one's files.
      let handle: Ingress['fetch'] = () => new Response('starting', { status: 503 })
      const server = Bun.serve({
        port: flags.port,
        hostname: flags.host,
        idleTimeout: 30,
        maxRequestBodySize: 1_048_576,
        fetch: (request) => handle(request),
      })
      holding(server, (one) => one.stop(true))
      onStep('its log')
      const log = holding(await openLog(flags.log, { ...machine, ...maintenance(flags) }), (one) =>
        one.close(),
      )
      // After the log, which refuses what is wrong with the place.
      mkdirSync(places.folder, { recursive: true })
      onStep('its topics')
      await log.createTopics(campusTopics(partitions))
      onStep('stock, which one process puts in while the others wait')
      if (flags.role !== 'worker') await seedStock(log, partitions, clock)
      const url = `http://${server.hostname}:${server.port}`
      const endpoint = `http://${reachable(flags.host)}:${server.port}`
      onStep('a free instance folder')
      const number = isOnBrokers(flags.log)
        ? basename(
            holding(
              await takeInstanceFolder(
                { stateDir: places.state, logId: log.id },
                'campus-ingress',
                random,
              ),
              (one) => one.release(),
            ).path,
          )
        : '0'
      onStep('the ends of the topics that views show')
      const views = holding(await LiveViews.open(log, partitions), (one) => one.close())
      const applications = new Applications(sourcesOf(flags), {
        clock,
        random,
        observer: machine.observer,
        failpoint: machine.failpoint,
        log,
        stateDir: places.state,
        workers: flags.workers,
        standbys: flags.standbys,
        endpoint,
        ...(machine.failpointSetting !== undefined && {
          failpointSetting: machine.failpointSetting,
        }),
        commitIntervalMs: flags.commitIntervalMs,
      })
      holding(applications, (one) => one.stopAll())
      onStep('its applications')
      await applications.startAll()
      onStep('the ingress')
      const taking =
        flags.role === 'worker'
          ? undefined
          : await openTaking({ flags, machine, log, holding, places, number })
      const neighbours = new Neighbours({ log, topology: inventoryTopology, clock, url: endpoint })
      const lookup = new OrderLookup({
        applications,
        requests: taking?.requests,
        neighbours,
        partitions,
      })
      const ingress = createIngress({
        taking,
        lookup,
        applications,
        views,
        clock,
        random,
        draining: draining.signal,
      })
      handle = ingress.fetch
      // Lets requests that are under way end, before anything that answers them is closed.
      holding(server, (one) => one.stop())
      return new Campus({ url, applications, ingress, views }, draining, releases)
    } catch (error) {
      for (const release of releases) await release()
      throw error
    }
  }

  /** Takes nothing new, lets what was accepted reach the log, commits, and lets go of every file. */
  async close(): Promise<void> {
    this.#draining.abort()
    for (const release of this.#releases) await release()
  }
}

interface TakingParts {
  readonly flags: Flags
  readonly machine: Machine
  readonly log: Log
  readonly holding: <T>(thing: T, release: (thing: T) => Promise<unknown> | void) => T
  readonly places: Places
  /** Of this process. */
  readonly number: string
}

async function openTaking(parts: TakingParts): Promise<OrderTaking> {
  const { flags, machine, log, holding, places, number } = parts
  const { clock } = machine
  const onBrokers = isOnBrokers(flags.log)
  const stem = number === '0' ? places.ingress : `${places.ingress}-${number}`
  inheritIngressFile({ base: places.ingress, stem }, log.id, await migratedFrom(log))
  const path = ingressFileOf(stem, log.id)
  const requests = holding(new Requests(path), (one) => one.close())
  requests.forget(clock.nowMs(), FORGET_ROWS_MAX)
  const writer = holding(await log.writer(), (one) => one.close())
  const limits = {
    lagRecordsMax: flags.lagMax,
    freeBytesMin: FREE_BYTES_MIN,
    mayLogBeAway: onBrokers,
  }
  const lagOf = (): Promise<number> => inventoryLag(log, flags.partitions)
  const pressure = holding(new Pressure(clock, places.folder, limits, lagOf), (one) => one.close())
  const { intake } = holding(
    openIntake({
      ...machine,
      writer,
      requests,
      partitions: flags.partitions,
      outboxPath: onBrokers ? path : undefined,
    }),
    (one) => one.close(),
  )
  return { intake, requests, pressure }
}

/** What other machines call this one, where it listens on every address. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? hostname() : host
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
