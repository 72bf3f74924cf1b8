/**
 * Runs a topology in a test, with no broker, clock or disk: records are piped in, results read out, and time passes when the
 * test says so. The names are those of Kafka Streams' driver of the same name.
 *
 *     const driver = new TopologyTestDriver(topology)
 *     const input = driver.createInputTopic(orders)
 *     await input.pipeInput('burger', { order_id: 'o1', qty: 2 }, 1_000)
 *     expect(driver.createOutputTopic(events).readKeyValue()).toEqual(['burger', { order_id: 'o1', status: 'reserved' }])
 *
 * Invariant: it is the task of production on the log of production's contract; each call that processes anything has
 * processed and committed all of it when its promise resolves.
 */
import type { KeyValueTaskStore, WindowTaskStore } from '#state'
import { assert } from '#system'
import { DEFAULT_TASK_OPTIONS, type ErrorPolicy, type Task } from '#runtime'
import {
  topicNameOnLog,
  type ReadableTopic,
  type StoreHandle,
  type StoreSpec,
  type TimestampExtractor,
  type Topic,
  type Topology,
  type Windowed,
} from '#topology'
import { TestInputTopic, type InputTopicOptions, type PipeBytes } from './test-input-topic.ts'
import { TestOutputTopic } from './test-output-topic.ts'
import { TestKeyValueStore, TestWindowStore } from './test-stores.ts'
import { asOneTask, TestTasks, type ProducedRecord } from './test-tasks.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface TestDriverOptions {
  /** What the wall clock says at first; 0 unless told. */
  readonly initialWallClockMs?: number
  /** What becomes of records that cannot be decoded, or whose processing throws; `stop` rejects the call unless told. */
  readonly onDecodeError?: ErrorPolicy
  readonly onProcessingError?: ErrorPolicy
  /** For sources that name none. */
  readonly timestampExtractor?: TimestampExtractor
  /** Values kept in a store are frozen, so that changing one in place throws where it happens; true unless told. */
  readonly freezeValues?: boolean
}

export class TopologyTestDriver {
  readonly clock: VirtualClock
  readonly #topology: Topology
  readonly #options: TestDriverOptions
  #tasks: TestTasks | undefined
  /** Calls take their turns, whether or not a test awaits each. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(topology: Topology, options: TestDriverOptions = {}) {
    this.#topology = topology.compatibility === undefined ? topology : asOneTask(topology)
    this.#options = options
    this.clock = new VirtualClock(options.initialWallClockMs ?? 0)
  }

  createInputTopic<K, V>(
    topic: Topic<K, V>,
    options: InputTopicOptions = {},
  ): TestInputTopic<K, V> {
    return new TestInputTopic(topic, this.pipeBytes, this.clock.nowMs(), options)
  }

  createOutputTopic<K, V>(topic: ReadableTopic<K, V>): TestOutputTopic<K, V> {
    const name = topicNameOnLog(this.#topology, topic.name)
    return new TestOutputTopic(topic, () => this.producedRecords(name))
  }

  /** Bytes as they are, for what no serde would write. */
  readonly pipeBytes: PipeBytes = (topic, record) =>
    this.#run(async (tasks) => {
      await tasks.append(topicNameOnLog(this.#topology, topic), record)
      await tasks.settle()
    })

  /**
   * Moves the wall clock: what is due by it fires once, at the new time. Inputs are silent meanwhile, so windows with an
   * idle policy close as they would.
   */
  advanceWallClockTime(byMs: number): Promise<void> {
    return this.#run(async (tasks) => {
      const endMs = this.clock.elapsedMs() + byMs
      while (tasks.nextTickElapsedMs <= endMs) {
        this.clock.advance(Math.max(tasks.nextTickElapsedMs - this.clock.elapsedMs(), 0))
        if (await tasks.tick()) await tasks.settle()
      }
      this.clock.advance(endMs - this.clock.elapsedMs())
      await tasks.punctuate()
      await tasks.settle()
    })
  }

  /** Every record that was written to a topic, in bytes; its name as the log has it: `app-counts-changelog`. */
  producedRecords(topic: string): readonly ProducedRecord[] {
    return this.#tasks?.produced(topic) ?? []
  }

  /** Every topic that was written to, changelogs and internal ones included. */
  producedTopicNames(): readonly string[] {
    return this.#tasks?.producedTopics ?? []
  }

  /** Records dropped on the way, or passed over because they failed. */
  get droppedRecords(): number {
    return this.#openTasks.reduce((sum, { droppedRecords }) => sum + droppedRecords, 0)
  }

  getKeyValueStore<K, V>(store: StoreHandle<K, V>): TestKeyValueStore<K, V>
  getKeyValueStore(store: string): TestKeyValueStore<unknown, unknown>
  getKeyValueStore(store: string | StoreHandle<unknown, unknown>): unknown {
    const { spec, task } = this.#storeNamed(store)
    assert(spec.kind === 'key-value', `${spec.name} is a ${spec.kind} store`)
    const found = task?.stores.get(spec.name) as KeyValueTaskStore<unknown, unknown> | undefined
    const rows = this.#tasks?.rowsOf(spec.name)
    assert(found !== undefined && rows !== undefined, 'a store is there once something was piped')
    return new TestKeyValueStore(spec, found, rows)
  }

  getWindowStore<K, V>(store: StoreHandle<Windowed<K>, V>): TestWindowStore<K, V>
  getWindowStore(store: string): TestWindowStore<unknown, unknown>
  getWindowStore(store: string | StoreHandle<unknown, unknown>): unknown {
    const { spec, task } = this.#storeNamed(store)
    assert(spec.kind === 'window', `${spec.name} is a ${spec.kind} store`)
    const found = task?.stores.get(spec.name) as WindowTaskStore<unknown, unknown> | undefined
    assert(found !== undefined, 'a store is there once something was piped')
    return new TestWindowStore(spec, found)
  }

  /** Names and kinds of all stores. */
  getAllStateStores(): ReadonlyMap<string, StoreSpec['kind']> {
    const specs = this.#topology.subTopologies.flatMap(({ stores }) => stores)
    return new Map(specs.map(({ name, kind }) => [name, kind]))
  }

  close(): Promise<void> {
    return this.#run((tasks) => tasks.close())
  }

  get #openTasks(): readonly Task[] {
    return this.#tasks?.tasks ?? []
  }

  #storeNamed(store: string | { readonly name: string }): {
    readonly spec: StoreSpec
    readonly task: Task | undefined
  } {
    const name = typeof store === 'string' ? store : store.name
    const specs = this.#topology.subTopologies.flatMap(({ stores }) => stores)
    const spec = specs.find((each) => each.name === name)
    assert(spec !== undefined, `the topology has no store ${name}`)
    return { spec, task: this.#openTasks.find(({ stores }) => stores.has(name)) }
  }

  #run<T>(step: (tasks: TestTasks) => Promise<T>): Promise<T> {
    const run = this.#last.then(async () => step((this.#tasks ??= await this.#open())))
    this.#last = run.catch(() => {})
    return run
  }

  #open(): Promise<TestTasks> {
    const { freezeValues = true, timestampExtractor } = this.#options
    const { onDecodeError = 'stop', onProcessingError = 'stop' } = this.#options
    return TestTasks.open({
      topology: this.#topology,
      clock: this.clock,
      timestampExtractor,
      options: { ...DEFAULT_TASK_OPTIONS, freezeValues, onDecodeError, onProcessingError },
    })
  }
}
