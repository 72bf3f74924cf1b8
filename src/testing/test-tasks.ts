/**
 * The tasks of a topology, each with one partition, on a log in memory: what the test driver drives.
 *
 * Invariant: they are the tasks, the stores and the commits that run in production; only fetching is done by hand, and one
 * record is processed and committed at a time, over all tasks the one with the lowest timestamp.
 */
import {
  RecordBatchWriter,
  RecordCursor,
  type Append,
  type LogReader,
  type LogWriter,
  type RecordHeaders,
  type TopicSpec,
} from '#log'
import { MemoryLog } from '#log/memory'
import {
  Committer,
  openStores,
  sealAll,
  Task,
  type CommittingTask,
  type Machine,
  type TaskOptions,
} from '#runtime'
import type { StateStore } from '#state'
import { MemoryBackend } from '#state/memory'
import { noFailpoint, systemRandom } from '#system'
import { topicNameOnLog, type SubTopology, type TimestampExtractor, type Topology } from '#topology'
import type { VirtualClock } from './virtual-clock.ts'

/** A record that a task has written, changelogs and internal topics included. */
export interface ProducedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestampMs: number
  readonly headers: RecordHeaders
}

export interface TestTasksOptions {
  readonly topology: Topology
  readonly clock: VirtualClock
  readonly options: TaskOptions
  readonly timestampExtractor: TimestampExtractor | undefined
}

interface TestTask extends CommittingTask {
  readonly task: Task
}

const NO_MEMBER = { memberId: '', instanceId: undefined, generation: -1 }

export class TestTasks {
  readonly topology: Topology
  readonly #clock: VirtualClock
  readonly #log: MemoryLog
  readonly #reader: LogReader
  readonly #committer: Committer
  readonly #tasks: TestTask[] = []
  readonly #topics: Set<string> = new Set()
  readonly #produced: Map<string, ProducedRecord[]> = new Map()
  readonly #ends: Map<string, number> = new Map()
  #writer: LogWriter | undefined

  private constructor({ topology, clock }: TestTasksOptions, machine: Machine) {
    this.topology = topology
    this.#clock = clock
    this.#log = new MemoryLog({ clock })
    this.#reader = this.#log.reader()
    this.#committer = new Committer(this.#log, topology.applicationId, 'exactly-once', machine)
  }

  static async open(options: TestTasksOptions): Promise<TestTasks> {
    const { clock } = options
    const machine: Machine = {
      clock,
      random: systemRandom,
      observer: () => {},
      failpoint: noFailpoint,
    }
    const tasks = new TestTasks(options, machine)
    await tasks.#open(options, machine)
    return tasks
  }

  get tasks(): readonly Task[] {
    return this.#tasks.map(({ task }) => task)
  }

  /** Everything that tasks have written to a topic, by its name on the log. */
  produced(topic: string): readonly ProducedRecord[] {
    return this.#produced.get(topic) ?? []
  }

  get producedTopics(): readonly string[] {
    return [...this.#produced.keys()]
  }

  /** The rows of a store, as its backend keeps them. */
  rowsOf(store: string): StateStore | undefined {
    return this.#tasks.find(({ stores }) => stores.has(store))?.stores.get(store)?.store
  }

  async append(
    topic: string,
    record: Omit<ProducedRecord, 'topic' | 'partition' | 'offset'>,
  ): Promise<void> {
    await this.#createTopics([topic])
    const writer = new RecordBatchWriter()
    writer.add(record.timestampMs, record.key, record.value, record.headers)
    await this.#writer?.append({ topic, partition: 0, bytes: writer.finish(), count: 1 })
    this.#takeOffsets(topic, 1)
  }

  /** Until no queue holds a record: the lowest head of all tasks, to its end, then a commit. */
  async settle(): Promise<void> {
    for (;;) {
      await this.#fetch()
      const next = this.#lowest()
      if (next === undefined) return
      next.process(1, this.#progressOf)
      await this.commit()
    }
  }

  /** Says to every task how long nothing has come (R9); true if one of them took it for a reason to go on. */
  async tick(): Promise<boolean> {
    await this.#fetch()
    const elapsedMs = this.#clock.elapsedMs()
    let did = false
    for (const { task } of this.#tasks) {
      if (task.tick(elapsedMs, this.#progressOf, () => true)) did = true
    }
    if (did) await this.commit()
    return did
  }

  async punctuate(): Promise<void> {
    for (const { task } of this.#tasks) task.punctuate(this.#clock.nowMs())
    await this.commit()
  }

  /** When a task next wants to hear how long it has been silent; Infinity if never. */
  get nextTickElapsedMs(): number {
    return Math.min(Infinity, ...this.#tasks.map(({ task }) => task.nextTickElapsedMs))
  }

  async commit(): Promise<void> {
    const groupId = this.topology.applicationId
    const sealed = sealAll(this.#tasks, { ...NO_MEMBER, groupId }, this.#progressOf)
    if (sealed === undefined || this.#writer === undefined) return
    await this.#createTopics(sealed.commit.appends.map(({ topic }) => topic))
    const commit = { ...sealed.commit, groupId, member: undefined }
    const end = await this.#committer.run(this.#writer, { ...sealed, commit })
    if (end.kind === 'failed') throw end.cause
    for (const append of sealed.commit.appends) this.#keep(append)
  }

  async close(): Promise<void> {
    for (const { task, stores } of this.#tasks) {
      await task.close()
      for (const { store } of stores.values()) await store.close()
    }
    await this.#reader.close()
    await this.#log.close()
  }

  async #open(options: TestTasksOptions, machine: Machine): Promise<void> {
    const { topology } = this
    const { applicationId } = topology
    const configs = new Map(
      topology.internalTopics.map(({ name, config }) => [`${applicationId}-${name}`, config]),
    )
    await this.#createTopics([...configs.keys()], configs)
    await this.#createTopics(inputsOf(topology))
    this.#writer = await this.#log.writer({ transactionalId: `${applicationId}-test` })
    const memory = new MemoryBackend()
    const opening = { log: this.#log, machine, backends: { for: async () => memory } }
    for (const subTopology of topology.subTopologies) {
      const taskId = `${subTopology.number}_0`
      const identity = { applicationId, topology, subTopology, partition: 0, taskId }
      const { stores } = await openStores(opening, identity, new Map(), 'active')
      const task = new Task({
        identity,
        stores: new Map([...stores].map(([name, { store }]) => [name, store])),
        partitionCounts: { get: (topic) => this.#partitionsOf(topic) },
        options: options.options,
        careful: 'always',
        wallClockMs: () => this.#clock.nowMs(),
        ...(options.timestampExtractor && { timestampExtractor: options.timestampExtractor }),
      })
      await task.loadStores()
      task.start(new Map())
      this.#tasks.push({ task, stores, applied: () => {} })
    }
    const inputs = this.#tasks.flatMap(({ task }) => task.inputs)
    this.#reader.assign(inputs.map(({ topic, partition }) => ({ topic, partition, position: 0 })))
    await this.settle()
  }

  /** Every topic has one partition, whether it exists yet or not; with Kafka Streams' semantics there is no late topic. */
  #partitionsOf(topic: string): number | undefined {
    const { applicationId, compatibility } = this.topology
    return compatibility !== undefined && topic === `${applicationId}-late` ? undefined : 1
  }

  async #createTopics(
    topics: readonly string[],
    configs: ReadonlyMap<string, TopicSpec['config']> = new Map(),
  ): Promise<void> {
    const missing = [...new Set(topics)].filter((topic) => !this.#topics.has(topic))
    if (missing.length === 0) return
    for (const topic of missing) this.#topics.add(topic)
    await this.#log.createTopics(
      missing.map((topic) => ({ topic, partitions: 1, config: configs.get(topic) ?? {} })),
    )
  }

  async #fetch(): Promise<void> {
    for (;;) {
      const batches = await this.#reader.poll({ waitMs: 0, bytesMax: 1 << 20 })
      if (batches.length === 0) return
      for (const batch of batches) {
        for (const { task } of this.#tasks) {
          if (task.inputs.some(({ topic }) => topic === batch.topic)) task.add(batch)
        }
      }
    }
  }

  #lowest(): Task | undefined {
    let lowest: Task | undefined
    let lowestMs = Infinity
    for (const { task } of this.#tasks) {
      const timestampMs = task.headTimestampMs
      if (timestampMs === undefined || timestampMs >= lowestMs) continue
      lowest = task
      lowestMs = timestampMs
    }
    return lowest
  }

  readonly #progressOf: Parameters<Task['process']>[1] = (input) => this.#reader.progress(input)

  #keep({ topic, partition, bytes, count }: Append): void {
    const records = this.#produced.get(topic) ?? []
    this.#produced.set(topic, records)
    let offset = this.#takeOffsets(topic, count)
    const cursor = new RecordCursor()
    cursor.open(bytes, { topic, partition })
    while (cursor.next()) {
      const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = cursor
      const key = keyStart < 0 ? null : Uint8Array.from(buffer.subarray(keyStart, keyEnd))
      const value = valueStart < 0 ? null : Uint8Array.from(buffer.subarray(valueStart, valueEnd))
      const headers = cursor.headers()
      records.push({ topic, partition, offset, key, value, timestampMs, headers })
      offset += 1
    }
  }

  #takeOffsets(topic: string, count: number): number {
    const first = this.#ends.get(topic) ?? 0
    this.#ends.set(topic, first + count)
    return first
  }
}

function inputsOf(topology: Topology): readonly string[] {
  const topics = topology.subTopologies.flatMap(({ sources }) => sources.flatMap((s) => s.topics))
  return topics.map((topic) => topicNameOnLog(topology, topic))
}

/**
 * One sub-topology of all: Kafka Streams' test driver runs everything as one task, so that stream time and the choice of the
 * next record span the whole topology.
 */
export function asOneTask(topology: Topology): Topology {
  const parts = topology.subTopologies
  const merged: SubTopology = {
    number: 0,
    nodes: parts.flatMap(({ nodes }) => nodes),
    sources: parts.flatMap(({ sources }) => sources),
    sinks: parts.flatMap(({ sinks }) => sinks),
    stores: parts.flatMap(({ stores }) => stores),
    coPartitioned: parts.flatMap(({ coPartitioned }) => coPartitioned),
  }
  return { ...topology, subTopologies: parts.length === 0 ? [] : [merged] }
}
