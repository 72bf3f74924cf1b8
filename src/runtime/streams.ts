/**
 * `Streams`: one application, running. It takes part in the application's group, and answers what a person asks of it.
 *
 * Invariant: nothing of an application runs before `start` or after `close` has resolved.
 */
import { partitionKey, type TopicPartition } from '#log'
import { assert, type Observer } from '#system'
import type { Topology, Windowed } from '#topology'
import { taskShapes } from './assignment.ts'
import { hostWorkers, type Hosted } from './hosting.ts'
import { inputTopicsOf } from './internal-names.ts'
import { takeInstanceFolder, type InstanceFolder } from './instance-folder.ts'
import { loadTopology } from './load-topology.ts'
import { queryHandle } from './query-handle.ts'
import type { Queryable, TableQuery, WindowQuery } from './query.ts'
import { NO_METRICS, sumMetrics, type StreamsMetrics } from './streams-metrics.ts'
import {
  isTopologyModule,
  machineOf,
  type Machine,
  type StreamsOptions,
  type TopologySource,
} from './streams-options.ts'
import { nextStreamsState, type StreamsState } from './streams-state.ts'
import type { RecordPlace } from './task-error.ts'
import { writeTopologyRecord } from './topology-record.ts'
import { prepareTopics, type LogTopics } from './topics.ts'

/** How far an input partition of the application is behind. */
export interface InputLag extends TopicPartition {
  /** The next input offset to be committed; the earliest offset while nothing is. */
  readonly committed: number
  readonly highWatermark: number
  /** Control records count, so 0 says caught up and a small number may. */
  readonly lagRecords: number
}

export interface StreamsEvents {
  state: { readonly from: StreamsState; readonly to: StreamsState }
  /** One task has stopped before an offset of an input, and only it: `error` says what to do. */
  'task-failed': RecordPlace & { readonly taskId: string; readonly error: string }
  failed: { readonly error: unknown }
}

const NOTHING_HOSTED: Hosted = { hosts: [], release: () => Promise.resolve() }

type Listener = (event: StreamsEvents[keyof StreamsEvents]) => void

export class Streams {
  readonly #source: TopologySource
  readonly #options: StreamsOptions
  readonly #machine: Machine
  readonly #listeners = new Map<keyof StreamsEvents, Set<Listener>>()
  readonly #workerStates = new Map<number, 'rebalancing' | 'running'>()
  #topology: Topology | undefined
  #topics: LogTopics = { partitionCounts: new Map(), batchLimits: new Map() }
  #folder: InstanceFolder | undefined
  #hosted: Hosted = NOTHING_HOSTED
  #lastMetrics: StreamsMetrics = NO_METRICS
  #state: StreamsState = 'created'
  #failure: unknown
  #isStarted = false
  #beginning: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #settle: () => void = () => {}

  constructor(topology: TopologySource, options: StreamsOptions) {
    const { workers = 1, backend, stateDir } = options
    assert(Number.isInteger(workers) && workers > 0, 'there is at least one worker')
    assert(
      workers === 1 || isTopologyModule(topology),
      'more than one worker takes the topology as { module, export }: closures do not cross threads',
    )
    assert(backend === 'memory' || stateDir !== undefined, 'stores on disk need a stateDir')
    this.#source = topology
    this.#options = options
    this.#machine = this.#listening(machineOf(options))
    if (!isTopologyModule(topology)) this.#topology = topology
  }

  /** Of a topology given as a module it is known once `start` has loaded it. */
  get applicationId(): string {
    return this.#known().applicationId
  }
  get topology(): Topology {
    return this.#known()
  }
  get state(): StreamsState {
    return this.#state
  }
  /** What `state` is 'error' for. */
  get failure(): unknown {
    return this.#failure
  }
  /** Every task there is of the application, whoever runs it; none before the start. */
  get taskIds(): readonly string[] {
    if (this.#topics.partitionCounts.size === 0) return []
    const shapes = taskShapes(this.#known(), this.#topics.partitionCounts)
    return shapes.map(({ taskId }) => taskId)
  }
  get metrics(): StreamsMetrics {
    if (this.#hosted.hosts.length === 0) return this.#lastMetrics
    return sumMetrics(this.#hosted.hosts.map((host) => host.metrics()))
  }

  /** Creates what is missing on the log, joins the group, and resolves once the tasks given to it run (or none were given). */
  async start(): Promise<void> {
    assert(this.#state === 'created' && !this.#isStarted, 'a handle is started once')
    this.#isStarted = true
    const settled = new Promise<void>((resolve) => {
      this.#settle = resolve
    })
    this.#beginning = this.#begin().catch((error: unknown) => this.#fail(error))
    await this.#beginning
    await settled
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Commits, closes and stops. With `leave` the other members take over at once; without, the place is kept for a restart. */
  close({ leave = false }: { readonly leave?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(leave)
    return this.#closing
  }

  /** A stored table, or a store that a processor declared. */
  query<K, V>(table: Queryable<Windowed<K>, V>): WindowQuery<K, V>
  query<K, V>(table: Queryable<K, V>): TableQuery<K, V>
  query(table: Queryable<unknown, unknown>): unknown {
    return queryHandle(
      {
        topology: this.#known(),
        partitionCounts: this.#topics.partitionCounts,
        ask: async (question) => {
          const replies = await Promise.all(this.#hosted.hosts.map((host) => host.ask(question)))
          return replies.flat()
        },
        ownerOf: (taskId) => this.#hosted.hosts[0]?.owners()[taskId],
      },
      table.name,
    )
  }

  /** Asked of the log: offsets committed so far against high watermarks, of every input partition. */
  async lag(): Promise<readonly InputLag[]> {
    const { log } = this.#options
    const topology = this.#known()
    const topics = topology.subTopologies.flatMap((sub) => inputTopicsOf(topology, sub))
    const places = [...new Set(topics)].flatMap((topic) =>
      Array.from({ length: this.#topics.partitionCounts.get(topic) ?? 0 }, (_, partition) => ({
        topic,
        partition,
      })),
    )
    const { applicationId } = topology
    const committed = await log.committedOffsets(applicationId, places, { requireStable: false })
    return Promise.all(
      places.map(async (place) => {
        const highWatermark = await log.endOffset(place, 'read-uncommitted')
        const known = committed.get(partitionKey(place))?.offset
        const offset = known ?? (await log.earliestOffset(place))
        const lagRecords = Math.max(0, highWatermark - offset)
        return { ...place, committed: offset, highWatermark, lagRecords }
      }),
    )
  }

  /** Calls `listener` at every event of this kind; the answer ends it. */
  on<Kind extends keyof StreamsEvents>(
    kind: Kind,
    listener: (event: StreamsEvents[Kind]) => void,
  ): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set()
    this.#listeners.set(kind, listeners)
    const called = listener as Listener
    listeners.add(called)
    return () => {
      listeners.delete(called)
    }
  }

  // -------------------------------------------------------------- inside

  #listening(machine: Machine): Machine {
    const observer: Observer = (happening) => {
      machine.observer(happening)
      if (happening.kind !== 'task-failed') return
      const { taskId, topic, partition, offset, error } = happening
      this.#emit('task-failed', { taskId, topic, partition, offset, error })
    }
    return { ...machine, observer }
  }

  async #begin(): Promise<void> {
    const { log, stateDir, createTopics, workers = 1 } = this.#options
    this.#topology ??= await loadTopology(this.#source)
    const topology = this.#topology
    this.#changeState('rebalancing')
    if (stateDir !== undefined) {
      const { random } = this.#machine
      this.#folder = await takeInstanceFolder(
        { stateDir, logId: log.id },
        topology.applicationId,
        random,
      )
    }
    this.#topics = await prepareTopics(log, topology, createTopics)
    const told = writeTopologyRecord(log, topology, this.#machine.clock)
    for (let worker = 0; worker < workers; worker += 1)
      this.#workerStates.set(worker, 'rebalancing')
    this.#hosted = hostWorkers({
      source: this.#source,
      topology,
      topics: this.#topics,
      options: this.#options,
      machine: this.#machine,
      folder: this.#folder,
      onState: (worker, state) => this.#onWorkerState(worker, state),
    })
    for (const { ended } of this.#hosted.hosts) {
      ended.catch((error: unknown) => this.#fail(error))
    }
    // Beside the joining, which it does not depend on.
    await told
  }

  #onWorkerState(worker: number, state: 'rebalancing' | 'running'): void {
    this.#workerStates.set(worker, state)
    if (this.#state !== 'rebalancing' && this.#state !== 'running') return
    const isRunning = [...this.#workerStates.values()].every((each) => each === 'running')
    const next = isRunning ? 'running' : 'rebalancing'
    if (next !== this.#state) this.#changeState(next)
    if (isRunning) this.#settle()
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#state === 'error' || this.#state === 'not-running') return
    this.#failure = error
    this.#changeState('error')
    this.#machine.observer({
      kind: 'failed',
      applicationId: this.#topology?.applicationId ?? '',
      error,
    })
    this.#emit('failed', { error })
    await this.#stopHosts(false)
    this.#settle()
  }

  async #close(leave: boolean): Promise<void> {
    // What is being begun is begun first, so that everything there is gets closed.
    await this.#beginning
    const hadFailed = this.#state === 'error'
    this.#changeState('pending-shutdown')
    this.#settle()
    await this.#stopHosts(leave)
    this.#changeState(hadFailed ? 'error' : 'not-running')
  }

  /** Once: a failure and a close may both ask for it. */
  #stopHosts(leave: boolean): Promise<void> {
    this.#stopping ??= this.#stop(leave)
    return this.#stopping
  }

  async #stop(leave: boolean): Promise<void> {
    const { hosts, release } = this.#hosted
    for (const host of hosts) host.stop(leave)
    await Promise.allSettled(hosts.map(({ ended }) => ended))
    this.#lastMetrics = this.metrics
    this.#hosted = NOTHING_HOSTED
    await release()
    this.#folder?.release()
    this.#folder = undefined
  }

  #known(): Topology {
    assert(this.#topology !== undefined, 'the topology of a module is loaded by start')
    return this.#topology
  }

  #changeState(to: StreamsState): void {
    const from = this.#state
    this.#state = nextStreamsState(from, to)
    const applicationId = this.#topology?.applicationId ?? ''
    this.#machine.observer({ kind: 'state', applicationId, state: to })
    this.#emit('state', { from, to })
  }

  #emit<Kind extends keyof StreamsEvents>(kind: Kind, event: StreamsEvents[Kind]): void {
    for (const listener of this.#listeners.get(kind) ?? []) listener(event)
  }
}
