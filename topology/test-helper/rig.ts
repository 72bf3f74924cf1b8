/**
 * A pipeline in a test's hands: hand-made nodes, real stores over the memory backend, and everything that leaves it in lists.
 *
 * Invariant: it treats its pipeline as a task does: savepoint, stream time, record, punctuations; rollback when it throws.
 */
import type { RecordHeaders } from '#log'
import {
  DedupeBuffer,
  KeyValueWriteBuffer,
  SuppressBuffer,
  type StateStore,
  type TaskStore,
  WindowWriteBuffer,
} from '#state'
import { MemoryBackend } from '#state/memory'
import type { Buffer } from 'node:buffer'
import type { ByteWriter } from '#system'
import type { AnySerde, StoreSpec, TopologyNode } from '../node.ts'
import type { PipelineEnvironment } from '../pipeline-contract.ts'
import { Pipeline } from '../pipeline.ts'
import type { RecordCollector } from '../processor.ts'
import type { SubTopology, Topology } from '../topology.ts'

export interface Output {
  readonly topic: string
  readonly key: unknown
  readonly value: unknown
  readonly timestampMs: number
  readonly headers: RecordHeaders
}

export interface Announcement {
  readonly topic: string
  readonly node: string
  readonly timeMs: number
  readonly idle: boolean
}

export interface RigOptions {
  readonly partition?: number
  readonly freezeValues?: boolean
  readonly internalTopics?: readonly string[]
  readonly wallClock?: { nowMs: number }
  readonly passOver?: (node: string, error: unknown) => boolean
}

/** JSON in every key, value and store: tests read it. */
export const plain: AnySerde = {
  name: 'plain',
  encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
  write: (value: unknown, target: ByteWriter) => target.utf8(JSON.stringify(value)),
  read: (source: Buffer, start: number, end: number) => JSON.parse(source.utf8Slice(start, end)),
  get trusted() {
    return plain
  },
}

export class Rig {
  readonly outputs: Output[] = []
  readonly announced: Announcement[] = []
  /** Both of these, in the order in which they left. */
  readonly sent: (Output | Announcement)[] = []
  readonly dropped: string[] = []
  readonly late: unknown[] = []
  commitsRequested = 0
  pipeline: Pipeline
  readonly #topology: Topology
  readonly #subTopology: SubTopology
  readonly #stores: ReadonlyMap<string, TaskStore>
  readonly #options: RigOptions
  #offset = 0

  private constructor(
    subTopology: SubTopology,
    stores: ReadonlyMap<string, TaskStore>,
    options: RigOptions,
  ) {
    this.#topology = topologyOf(subTopology, options.internalTopics ?? [])
    this.#subTopology = subTopology
    this.#stores = stores
    this.#options = options
    this.pipeline = this.#newPipeline()
  }

  static async open(
    nodes: readonly TopologyNode[],
    stores: readonly StoreSpec[] = [],
    options: RigOptions = {},
  ): Promise<Rig> {
    const subTopology = subTopologyOf(nodes, stores)
    const backend = new MemoryBackend()
    const opened = new Map<string, TaskStore>()
    for (const spec of stores) {
      const location = { applicationId: 'app', taskId: '0_0', storeName: spec.name }
      const taskStore = taskStoreOf(spec, (await backend.open(location)).store)
      await taskStore.load()
      opened.set(spec.name, taskStore)
    }
    return new Rig(subTopology, opened, options)
  }

  /** One record, as its task takes it. */
  pipe(
    topic: string,
    key: unknown,
    value: unknown,
    timestampMs: number,
    headers: RecordHeaders = [],
  ): void {
    const { pipeline } = this
    this.whole(() => {
      if (timestampMs > pipeline.streamTimeMs) pipeline.streamTimeMs = timestampMs
      const place = { partition: this.#options.partition ?? 0, offset: this.#offset, headers }
      pipeline.process(topic, { key, value, timestampMs }, place)
      pipeline.punctuateStreamTime()
    })
    this.#offset += 1
  }

  /** All of it or nothing (R15). */
  whole(run: () => void): void {
    const lists = [this.outputs, this.announced, this.sent]
    const lengths = lists.map((list) => list.length)
    const streamTimeMs = this.pipeline.streamTimeMs
    this.pipeline.savepoint()
    for (const store of this.#stores.values()) store.savepoint()
    try {
      run()
    } catch (error) {
      this.pipeline.rollback()
      this.pipeline.streamTimeMs = streamTimeMs
      for (const store of this.#stores.values()) store.rollback()
      for (const [n, list] of lists.entries()) list.length = lengths[n] ?? 0
      throw error
    }
  }

  tick(timeMs: number): void {
    this.whole(() => this.pipeline.tick(timeMs))
  }

  /** What left since the last call, as `key value@time` lines of one topic. */
  take(topic: string = 'out'): readonly string[] {
    const taken = this.outputs.filter((output) => output.topic === topic)
    this.outputs.length = 0
    return taken.map(line)
  }

  /** A new pipeline on the same stores with the saved times: what a restart, or a move, finds. */
  restart(): void {
    const times = this.pipeline.savedTimes()
    this.pipeline = this.#newPipeline()
    this.pipeline.restoreTimes(times)
  }

  store(name: string): TaskStore | undefined {
    return this.#stores.get(name)
  }

  #newPipeline(): Pipeline {
    const { partition = 0, freezeValues = false, wallClock = { nowMs: 0 } } = this.#options
    const { passOver } = this.#options
    const collector: RecordCollector = {
      collect: (topic, _partition, key, _keySerde, value, _valueSerde, timestampMs, headers) => {
        const output = { topic, key, value, timestampMs, headers }
        this.outputs.push(output)
        this.sent.push(output)
      },
      announceTime: (topic, node, timeMs, idle) => {
        const announcement = { topic, node, timeMs, idle }
        this.announced.push(announcement)
        this.sent.push(announcement)
      },
    }
    const environment: PipelineEnvironment = {
      applicationId: 'app',
      taskId: `0_${partition}`,
      partition,
      wallClockMs: () => wallClock.nowMs,
      stores: this.#stores,
      collector,
      dropped: (node, reason) => this.dropped.push(`${node}: ${reason}`),
      late: (node, window, key) => this.late.push({ node, window, key }),
      requestCommit: () => {
        this.commitsRequested += 1
      },
      freezeValues,
      ...(passOver && { passOver }),
    }
    return new Pipeline(this.#topology, this.#subTopology, environment)
  }
}

/** `a [0,10) 3@7` for windowed keys, `a 3@7` for others. */
export function line({ key, value, timestampMs }: Output): string {
  return `${keyText(key)} ${text(value)}@${timestampMs}`
}

function keyText(key: unknown): string {
  if (typeof key !== 'object' || key === null || !('window' in key)) return text(key)
  const { key: inner, window } = key as {
    key: unknown
    window: { startMs: number; endMs: number }
  }
  return `${text(inner)} [${window.startMs},${window.endMs})`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function subTopologyOf(nodes: readonly TopologyNode[], stores: readonly StoreSpec[]): SubTopology {
  return {
    number: 0,
    nodes,
    sources: nodes.filter((node) => node.kind === 'source'),
    sinks: nodes.filter((node) => node.kind === 'sink'),
    stores,
    coPartitioned: [],
  }
}

function topologyOf(subTopology: SubTopology, internalTopics: readonly string[]): Topology {
  return {
    applicationId: 'app',
    nodes: subTopology.nodes,
    subTopologies: [subTopology],
    internalTopics: internalTopics.map((name) => ({
      name,
      kind: 'repartition',
      partitions: undefined,
      config: {},
    })),
    compatibility: undefined,
    describe: () => '',
    toMermaid: () => '',
    toDot: () => '',
    toJSON: () => ({}),
  }
}

function taskStoreOf(spec: StoreSpec, store: StateStore): TaskStore {
  switch (spec.kind) {
    case 'key-value':
      return new KeyValueWriteBuffer({ ...spec, store })
    case 'window':
      return new WindowWriteBuffer({ ...spec, store })
    case 'suppress':
      return new SuppressBuffer({ name: spec.name, store, logged: true })
    case 'dedupe':
      return new DedupeBuffer({ name: spec.name, store, withinMs: spec.withinMs })
  }
}
