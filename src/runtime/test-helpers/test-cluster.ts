/**
 * Processes of one application on one memory log and one virtual clock: they start, crash, stall and stop in a test's hands.
 *
 * A process that crashed leaves its stores as they were, and whoever starts with the same instance id finds them.
 */
import { createMemoryLog, type MemoryLog } from '#log/memory'
import { MemoryBackend } from '#state/memory'
import {
  StateError,
  type OpenedStore,
  type StateStore,
  type StoreBackend,
  type StoreLocation,
} from '#state'
import type { Random, Happening } from '#system'
import { VirtualClock } from '#testing'
import type { Topology } from '#topology'
import type { TopicSpec } from '#log'
import {
  machineOf,
  DEFAULT_LIMITS,
  type Guarantee,
  type StreamsLimits,
} from '../streams-options.ts'
import { DEFAULT_TASK_OPTIONS } from '../task-options.ts'
import { prepareTopics } from '../topics.ts'
import { TaskWorker } from '../worker.ts'
import { FaultyLog } from './faulty-log.ts'

/** Deterministic: the numbers of a seed, and ids that count up. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  let ids = 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
    },
    uuid() {
      ids += 1
      return `${seed}-${ids}`
    },
  }
}

export interface ProcessOptions {
  readonly instanceId?: string
  readonly commitIntervalMs?: number
  readonly guarantee?: Guarantee
  readonly standbys?: number
  readonly repartitionPurgeIntervalMs?: number
  readonly endpoint?: string
  /** A static member keeps its place through a rebalance that it misses; a dynamic one is expelled (Kafka's rule). */
  readonly isStatic?: boolean
  readonly limits?: Partial<StreamsLimits>
}

/** A disk: what a killed process had open can be opened again. */
class Disk {
  readonly backend: MemoryBackend = new MemoryBackend()
  readonly #open = new Set<StateStore>()
  failNextApply: boolean = false

  readonly stores: StoreBackend = {
    kind: 'memory',
    ordered: true,
    restoreBatchRows: 100,
    restoreSliceRows: 10,
    open: (location: StoreLocation): Promise<OpenedStore> => this.#openStore(location),
    wipe: (location) => this.backend.wipe(location),
  }

  async #openStore(location: StoreLocation): Promise<OpenedStore> {
    const opened = await this.backend.open(location)
    const { store } = opened
    this.#open.add(store)
    const apply = store.apply.bind(store)
    store.apply = async (changes, header) => {
      if (this.failNextApply) {
        this.failNextApply = false
        throw new StateError('STORE_FAILED', 'the disk refused this apply')
      }
      return apply(changes, header)
    }
    return opened
  }

  async letGo(): Promise<void> {
    for (const store of this.#open) await store.close()
    this.#open.clear()
  }
}

export class TestProcess {
  readonly log: FaultyLog
  readonly worker: TaskWorker
  readonly ended: Promise<unknown>
  readonly happenings: Happening[] = []
  readonly disk: Disk
  state: 'rebalancing' | 'running' = 'rebalancing'
  error: unknown

  constructor(cluster: TestCluster, instanceId: string, disk: Disk, options: ProcessOptions) {
    this.log = new FaultyLog(cluster.log)
    // The log in memory commits in one step, and would be fenced in both modes.
    if (options.guarantee === 'at-least-once') {
      Object.defineProperty(this.log, 'commitsInOneStep', { value: false })
    }
    this.disk = disk
    const { topology, clock, random } = cluster
    const observer = (happening: Happening): void => void this.happenings.push(happening)
    this.worker = new TaskWorker({
      log: this.log,
      topology,
      partitionCounts: cluster.counts,
      batchLimits: cluster.batchLimits,
      backends: { for: () => Promise.resolve(disk.stores) },
      taskOptions: DEFAULT_TASK_OPTIONS,
      guarantee: options.guarantee ?? 'exactly-once',
      commitIntervalMs: options.commitIntervalMs ?? 100,
      standbys: options.standbys ?? 0,
      repartitionPurgeIntervalMs: options.repartitionPurgeIntervalMs ?? Number.POSITIVE_INFINITY,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      machine: machineOf({ clock, random, observer }),
      worker: 0,
      instanceId,
      transactionalId: `${topology.applicationId}-${instanceId}-0`,
      memberInstanceId: options.isStatic === false ? undefined : `${instanceId}-0`,
      endpoint: options.endpoint,
      heldBefore: () => ({}),
      remember: () => {},
      onState: (state) => {
        this.state = state
      },
    })
    this.ended = this.worker.run().catch((error: unknown) => {
      this.error = error
    })
  }

  get tasks(): readonly string[] {
    return [...this.worker.tasks.running.keys()].sort()
  }

  async crash(): Promise<void> {
    await this.log.crash()
    await this.disk.letGo()
  }

  saw(kind: Happening['kind']): number {
    return this.happenings.filter((happening) => happening.kind === kind).length
  }
}

export class TestCluster {
  readonly clock: VirtualClock = new VirtualClock(1_700_000_000_000)
  readonly random: Random = seededRandom(1)
  readonly log: MemoryLog = createMemoryLog({ clock: this.clock, random: this.random })
  readonly topology: Topology
  counts: ReadonlyMap<string, number> = new Map()
  batchLimits: ReadonlyMap<string, number> = new Map()
  readonly #disks = new Map<string, Disk>()
  #instances = 0

  private constructor(topology: Topology) {
    this.topology = topology
  }

  static async of(topology: Topology, topics: readonly TopicSpec[]): Promise<TestCluster> {
    const cluster = new TestCluster(topology)
    const prepared = await prepareTopics(cluster.log, topology, topics)
    cluster.counts = prepared.partitionCounts
    cluster.batchLimits = prepared.batchLimits
    return cluster
  }

  start(options: ProcessOptions = {}): TestProcess {
    const instanceId = options.instanceId ?? `instance-${this.#instances++}`
    const disk = this.#disks.get(instanceId) ?? new Disk()
    this.#disks.set(instanceId, disk)
    return new TestProcess(this, instanceId, disk, options)
  }

  /** Lets everything run, a few milliseconds at a time, until it is so. */
  async until(
    condition: () => boolean | Promise<boolean>,
    what: string,
    maxMs = 300_000,
  ): Promise<void> {
    for (const startMs = this.clock.elapsedMs(); ;) {
      for (let turn = 0; turn < 5; turn += 1) await this.clock.turn()
      if (await condition()) return
      if (this.clock.elapsedMs() - startMs > maxMs) throw new Error(`never happened: ${what}`)
      this.clock.advance(5)
    }
  }

  async pass(forMs: number): Promise<void> {
    const endMs = this.clock.elapsedMs() + forMs
    await this.until(() => this.clock.elapsedMs() >= endMs, `${forMs} ms`)
  }

  /** Every input of the application is committed to its end. */
  async caughtUp(): Promise<void> {
    const { applicationId, subTopologies } = this.topology
    const topics = subTopologies.flatMap((sub) => sub.sources.flatMap(({ topics }) => topics))
    const names = topics.map((topic) =>
      this.counts.has(topic) ? topic : `${applicationId}-${topic}`,
    )
    const places = names.flatMap((topic) =>
      Array.from({ length: this.counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
    )
    await this.until(async () => {
      const committed = await this.log.committedOffsets(applicationId, places)
      for (const place of places) {
        const end = await this.log.endOffset(place, 'read-committed')
        const offset = committed.get(`${place.topic}-${place.partition}`)?.offset ?? 0
        if (offset < end) return false
      }
      return true
    }, 'all inputs committed')
  }
}
