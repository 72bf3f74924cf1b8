/**
 * One sub-topology on one partition, running: takes records in order, each to its end, and gives out what it wrote as one
 * sealed value (protocol section 5, steps 0, 1 and 7).
 *
 * Invariant: between two calls every record was taken wholly or not at all; inputs, journal and committed metadata fix every
 * byte that is sealed, whatever the batch sizes and whenever `seal` is called.
 */
import {
  NO_HEADERS,
  partitionKey,
  type CommittedOffset,
  type FetchedBatch,
  type RecordHeaders,
  type TopicPartition,
} from '#log'
import type { TaskStore, Turn } from '#state'
import { assert, noObserver } from '#system'
import type { PipelineApi, TimeWindow } from '#topology'
import { EventTime } from './event-time.ts'
import { isPast, type InputPositions } from './careful-tasks.ts'
import { journalTopicOf, lateTopicOf } from './internal-names.ts'
import { JournalWriter } from './journal.ts'
import { LateRecords } from './late-records.ts'
import { OpenLayer } from './open-layer.ts'
import { PartitionGroup } from './partition-group.ts'
import { TaskCollector } from './record-collector.ts'
import { isUsersError } from './record-queue.ts'
import type { ProgressOf, SealedTask, StepResult, TaskApi, TaskState } from './task-contract.ts'
import { TaskFailures, betweenRecords } from './task-failures.ts'
import { taskInputs, type TaskInput } from './task-input.ts'
import { TaskLifecycle } from './task-lifecycle.ts'
import type { TaskSetup } from './task-options.ts'
import { TaskSeal } from './task-seal.ts'
import { createTaskPipeline } from './task-pipeline.ts'
import { taskStoresOf } from './task-stores.ts'
import { TaskTimes } from './task-times.ts'
import { Ticker } from './ticker.ts'

/** The size of the open layer is looked at once in this many records. */
const LAYER_CHECK_RECORDS = 32

export class Task implements TaskApi {
  readonly taskId: string
  readonly inputs: readonly TopicPartition[]
  /** By name; what has not been committed is in them. */
  readonly stores: ReadonlyMap<string, TaskStore>
  commitRequested: boolean = false

  readonly #setup: TaskSetup
  readonly #lifecycle: TaskLifecycle
  readonly #queues: readonly TaskInput[]
  readonly #group: PartitionGroup
  readonly #pipeline: PipelineApi
  readonly #time: EventTime
  readonly #collector: TaskCollector
  readonly #journal: JournalWriter
  readonly #failures: TaskFailures
  readonly #late: LateRecords | undefined
  readonly #ticker: Ticker | undefined
  readonly #times: TaskTimes
  readonly #seal: TaskSeal
  readonly #layer: OpenLayer
  /** Reused for every record: the pipeline keeps nothing of it. */
  readonly #place: { partition: number; offset: number; headers: RecordHeaders }
  #current: TaskInput | undefined
  #dropped: number = 0
  #isDirty: boolean = false
  #isSealed: boolean = false
  #isCareful: boolean

  constructor(setup: TaskSetup) {
    const { identity, partitionCounts, batchLimits, options } = setup
    const { applicationId, topology, subTopology, partition, taskId } = identity
    this.#setup = setup
    this.#isCareful = setup.careful !== undefined
    this.taskId = taskId
    this.#lifecycle = new TaskLifecycle(applicationId, taskId, setup.observer ?? noObserver)
    this.stores = taskStoresOf(subTopology.stores, setup.stores, options)
    this.#place = { partition, offset: -1, headers: NO_HEADERS }
    this.#collector = new TaskCollector(identity, partitionCounts, batchLimits, options.compression)
    this.#failures = new TaskFailures(setup, this.#collector)

    const { queues, upstreams } = taskInputs(identity, partitionCounts, () => this.#pipeline)
    this.#queues = queues
    this.inputs = this.#queues.map(({ input }) => input)
    this.#group = new PartitionGroup(this.#queues)
    this.#journal = new JournalWriter(this.inputs.map(({ topic }) => topic))

    const lateTopic = lateTopicOf(applicationId)
    if (topology.compatibility === undefined || partitionCounts.get(lateTopic) !== undefined) {
      this.#late = new LateRecords(lateTopic, subTopology, this.#collector)
    }
    this.#pipeline = createTaskPipeline(setup, {
      stores: this.stores,
      collector: this.#collector,
      dropped: () => {
        this.#dropped += 1
      },
      late: (node, window, key, value) => this.#addLate(node, window, key, value),
      requestCommit: () => {
        this.commitRequested = true
      },
    })
    this.#time = new EventTime(this.#pipeline, upstreams)
    const timed = { subTopology, queues, upstreams, pipeline: this.#pipeline }
    this.#ticker = Ticker.of(timed, setup.wallClockMs)
    this.#layer = new OpenLayer({
      pipeline: this.#pipeline,
      collector: this.#collector,
      journal: this.#journal,
      upstreams,
      stores: [...this.stores.values()],
      bytesMax: options.layerBytesMax,
      journalBatchBytesMax: this.#collector.batchBytesMax(
        journalTopicOf(applicationId, subTopology.number),
      ),
    })
    this.#times = new TaskTimes({
      ...timed,
      taskId,
      failures: this.#failures.window,
      ticker: this.#ticker,
    })
    this.#seal = new TaskSeal(setup, {
      stores: this.stores,
      collector: this.#collector,
      queues,
      times: this.#times,
    })
  }

  get state(): TaskState {
    return this.#lifecycle.state
  }

  get bufferedBytes(): number {
    return this.#group.bufferedBytes
  }

  /** Timestamp of the record to go next, if any is queued: whoever runs several tasks as one chooses by it. */
  get headTimestampMs(): number | undefined {
    return this.#group.lowestTimestampMs
  }

  get streamTimeMs(): number {
    return this.#pipeline.streamTimeMs
  }

  /** Dropped on the way (T3, W3, W4 …), or passed over because they failed, since the task began. */
  get droppedRecords(): number {
    return this.#dropped + this.#failures.records
  }

  get isCareful(): boolean {
    return this.#isCareful
  }

  /** The next offset to take of each input. */
  positions(): InputPositions {
    return new Map(this.#queues.map(({ input, position }) => [partitionKey(input), position]))
  }

  get isDirty(): boolean {
    return this.#isDirty
  }

  get nextTickElapsedMs(): number {
    return this.#ticker?.nextElapsedMs ?? Infinity
  }

  get nextWallClockMs(): number {
    return this.#pipeline.nextWallClockMs
  }

  bufferedBytesOf({ topic, partition }: TopicPartition): number {
    return this.#queueOf(topic, partition)?.bufferedBytes ?? 0
  }

  /** Fills what the stores keep in memory: before `start`. */
  async loadStores(turn?: Turn): Promise<void> {
    this.#lifecycle.step('restoring')
    for (const store of this.stores.values()) await store.load(turn)
  }

  start(committed: ReadonlyMap<string, CommittedOffset>): void {
    for (const queue of this.#queues) {
      queue.position = committed.get(partitionKey(queue.input))?.offset ?? 0
    }
    this.#times.restore(committed)
    this.#layer.open(this.#queues.map(({ position }) => position))
    if (this.#time.doubt()) {
      this.#journal.doubt()
      this.#isDirty = true
    }
    this.#lifecycle.step('running')
  }

  /** R12: before nobody reads for a while, so that the time below waits for what there will be to catch up with. */
  returnFromIdle(): void {
    if (!this.#runWhole(() => this.#pipeline.announceReturn())) return
    this.#ticker?.returned()
    this.#journal.return()
    this.#isDirty = true
  }

  add(batch: FetchedBatch): void {
    const queue = this.#queueOf(batch.topic, batch.partition)
    assert(queue !== undefined, `${partitionKey(batch)} is an input of task ${this.taskId}`)
    queue.add(batch)
  }

  /**
   * A TaskError leaves the task as it was before the record that caused it, so what came before may still be sealed. After
   * any other error it is to be rebuilt (R5).
   */
  process(recordsMax: number, progressOf: ProgressOf): StepResult {
    this.#group.look()
    let processed = 0
    let stopped: StepResult['stopped'] = 'records-max'
    while (processed < recordsMax) {
      if (processed % LAYER_CHECK_RECORDS === 0 && this.#layer.isFull) {
        stopped = 'layer-full'
        break
      }
      const next = this.#group.next(progressOf)
      if (typeof next === 'string') {
        stopped = next
        break
      }
      this.#take(next as TaskInput)
      processed += 1
    }
    this.#ticker?.observe(progressOf, this.#pipeline.streamTimeMs)
    return { processed, stopped }
  }

  punctuate(nowMs: number): number {
    if (nowMs < this.#pipeline.nextWallClockMs) return 0
    const fired = this.#runWhole(() => this.#pipeline.punctuateWallClock(nowMs))
    for (const { name, timeMs } of fired) this.#journal.punctuate(name, timeMs)
    if (fired.length > 0) this.#isDirty = true
    return fired.length
  }

  tick(
    elapsedMs: number,
    progressOf: ProgressOf,
    mayTick: (applicationId: string) => boolean,
    mayTrust: () => boolean = () => true,
  ): boolean {
    const ticker = this.#ticker
    if (ticker === undefined) return false
    ticker.observe(progressOf, this.#pipeline.streamTimeMs)
    const isQuiet = !this.#pipeline.holdsForwards && ticker.isQuiet(elapsedMs, mayTick)
    if (this.#time.isDoubting && mayTrust()) {
      this.#runWhole(() => this.#time.trust())
      this.#journal.trust()
      this.#isDirty = true
      return true
    }
    if (!isQuiet) return false
    const { dueTickMs } = ticker
    const hasAnnounced = this.#runWhole(() => {
      if (dueTickMs !== undefined) this.#time.tick(dueTickMs)
      return this.#pipeline.announceIdle()
    })
    ticker.announced()
    if (dueTickMs === undefined && !hasAnnounced) return false
    this.#journal.tick(dueTickMs ?? Math.max(this.#pipeline.streamTimeMs, 0))
    this.#isDirty = true
    return true
  }

  /**
   * Nothing may have been polled that is not yet added: where an input is empty, its position is what `progressOf` says, so
   * that control records are passed (T8).
   */
  seal(progressOf: ProgressOf): SealedTask | undefined {
    if (!this.#isDirty) return undefined
    assert(!this.#isSealed, `task ${this.taskId} has one sealed layer at a time`)
    for (const queue of this.#queues) queue.skipTo(progressOf(queue.input)?.position ?? 0)
    if (this.#pipeline.holdsForwards) {
      this.#runWhole(() => this.#pipeline.flush())
      this.#journal.commit()
    }
    const { applicationId, subTopology } = this.#setup.identity
    const journal = this.#journal.seal()
    if (journal !== undefined) {
      const topic = journalTopicOf(applicationId, subTopology.number)
      this.#collector.add(topic, Math.max(this.streamTimeMs, 0), null, journal, NO_HEADERS)
    }
    const sealed = this.#seal.seal()
    const { careful } = this.#setup
    if (careful !== undefined && careful !== 'always' && isPast(this.positions(), careful)) {
      this.#isCareful = false
    }
    this.#isSealed = true
    this.#isDirty = false
    this.commitRequested = false
    this.#layer.open(this.#queues.map(({ position }) => position))
    return sealed
  }

  release(): void {
    assert(this.#isSealed, `task ${this.taskId} has sealed what it releases`)
    this.#layer.release()
    this.#isSealed = false
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return
    this.#lifecycle.step('closed')
    this.#pipeline.close()
  }

  #take(queue: TaskInput): void {
    this.#current = queue
    if (queue.kind === 'failed') {
      this.#failures.decoding(queue, queue.error)
      this.#taken(queue, false)
      return
    }
    if (queue.timestampMs > this.#pipeline.streamTimeMs + queue.maxAdvanceMs) {
      if (this.#reject(queue)) return
    }
    this.#layer.savepoint()
    try {
      if (queue.kind === 'time') this.#time.take(queue)
      else this.#takeRecord(queue)
      this.#pipeline.punctuateStreamTime()
      if (this.#isCareful) this.#seal.checkPuts()
    } catch (error) {
      this.#layer.rollback()
      if (!isUsersError(error)) throw error
      this.#failures.processing(queue, error, this.#pipeline.nodeAtWork)
      this.#taken(queue, false)
      return
    }
    this.#failures.window.succeeded()
    this.#taken(queue, true)
  }

  #taken(queue: TaskInput, counts: boolean): void {
    queue.take(counts)
    this.#journal.took(queue.index)
    this.#isDirty = true
  }

  #takeRecord(queue: TaskInput): void {
    const pipeline = this.#pipeline
    const { timestampMs, raw, upstream } = queue
    if (upstream === undefined && timestampMs > pipeline.streamTimeMs) {
      pipeline.streamTimeMs = timestampMs
    }
    const place = this.#place
    place.offset = raw.offset
    place.headers = raw.headerCount === 0 ? NO_HEADERS : raw.headers()
    pipeline.process(queue.topic, queue, place)
  }

  /** R14: what is too far ahead of both stream time and the clock is kept from every node; a replay reads the verdict. */
  #reject(queue: TaskInput): boolean {
    const aheadOfMs = Math.max(this.#pipeline.streamTimeMs, this.#setup.wallClockMs())
    if (queue.kind !== 'record' || queue.timestampMs <= aheadOfMs + queue.maxAdvanceMs) return false
    const { offset } = queue.raw
    this.#failures.tooFarAhead(queue)
    this.#journal.reject(queue.index, offset)
    this.#taken(queue, false)
    return true
  }

  #addLate(node: string, window: TimeWindow, key: unknown, value: unknown): void {
    const timestamp = this.#current?.timestampMs ?? this.streamTimeMs
    this.#late?.add({ node, window, key, value, timestamp }, this.streamTimeMs)
  }

  /** Runs what no record has caused: there is nothing to pass over if it throws, so the task stops. */
  #runWhole<T>(run: () => T): T {
    this.#current = undefined
    this.#layer.savepoint()
    try {
      const result = run()
      if (this.#isCareful) this.#seal.checkPuts()
      return result
    } catch (error) {
      this.#layer.rollback()
      if (!isUsersError(error)) throw error
      throw betweenRecords(this.taskId, error)
    }
  }

  #queueOf(topic: string, partition: number): TaskInput | undefined {
    return this.#queues.find((q) => q.input.topic === topic && q.input.partition === partition)
  }
}
