/**
 * One task, run again from what was recorded: the same code, on nothing but the inputs in the order that the journal says, never
 * crashed, moved or restored. What it writes up to a committed offset is what the application must have written.
 *
 * Invariant: it is at the committed offsets, always; what it cannot follow it stops to say anything about.
 */
import {
  RecordBatchWriter,
  partitionKey,
  stampOffsets,
  type Append,
  type OffsetCommit,
  type TopicPartition,
} from '#log'
import { Task, type TaskOptions } from '#runtime'
import type { StateStore } from '#state'
import { MemoryBackend } from '#state/memory'
import type { SubTopology, Topology } from '#topology'
import type { Broker } from '../broker.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { SimulatedInput } from '../simulated-input.ts'
import { bytesOf, type PlainRecord } from './records.ts'
import type { ReferenceTask } from './reference.ts'
import { TaskSteps, type TaskStep } from './task-steps.ts'

/** Records at a time, and how often they are committed, when it is run a second time. */
const BATCH_MAX = 12
const COMMIT_CHANCE = 0.2

export interface ReplaySetup {
  readonly broker: Broker
  readonly topology: Topology
  readonly subTopology: SubTopology
  readonly partition: number
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly options: TaskOptions
  readonly reference: ReferenceTask | undefined
}

/** What the task would have committed. */
export interface Replayed {
  readonly appends: readonly Append[]
  readonly offsets: readonly OffsetCommit[]
  readonly stores: readonly SealedStore[]
}

export interface Advanced {
  /** Undefined where it can no longer be followed. */
  readonly replayed: Replayed | undefined
  /** What it must have written by the reference, if there is one. */
  readonly expected: readonly SimulatedInput[] | undefined
}

type SealedStore = NonNullable<ReturnType<Task['seal']>>['stores'][number]
type Progress = ReturnType<Parameters<Task['process']>[1]>

export class TaskReplay {
  readonly taskId: string
  readonly subTopology: SubTopology
  readonly inputs: readonly TopicPartition[]
  readonly #reference: ReferenceTask | undefined
  readonly #task: Task
  readonly #steps: TaskSteps
  readonly #taken = new Map<string, number>()
  /** Where the commit ends, by input. */
  #target: ReadonlyMap<string, number> = new Map()
  readonly #setup: ReplaySetup
  readonly #followed: TaskStep[] = []
  #isRejecting: boolean = false
  #isLost: boolean = false

  private constructor(setup: ReplaySetup, stores: ReadonlyMap<string, StateStore>) {
    const { topology, subTopology, partition, partitionCounts, options, broker } = setup
    const { applicationId } = topology
    this.taskId = `${subTopology.number}_${partition}`
    this.#setup = setup
    this.subTopology = subTopology
    this.#reference = setup.reference
    this.#task = new Task({
      identity: { applicationId, topology, subTopology, partition, taskId: this.taskId },
      stores,
      partitionCounts,
      options,
      wallClockMs: () => (this.#isRejecting ? 0 : Number.MAX_SAFE_INTEGER),
    })
    this.inputs = this.#task.inputs
    this.#steps = new TaskSteps(broker, this.taskId, this.inputs)
  }

  static async of(setup: ReplaySetup): Promise<TaskReplay> {
    const { topology, subTopology, partition } = setup
    const { applicationId } = topology
    const taskId = `${subTopology.number}_${partition}`
    const memory = new MemoryBackend()
    const stores = new Map<string, StateStore>()
    for (const { name } of subTopology.stores) {
      const { store } = await memory.open({ applicationId, taskId, storeName: name })
      stores.set(name, store)
    }
    const replay = new TaskReplay(setup, stores)
    await replay.#task.loadStores()
    replay.#task.start(new Map())
    return replay
  }

  /** On to these offsets; a journal record of the same commit says how. */
  advance(offsets: readonly OffsetCommit[], journal: Uint8Array | undefined): Advanced {
    this.#target = new Map(offsets.map((offset) => [partitionKey(offset), offset.offset]))
    const expected: SimulatedInput[] = []
    for (const step of this.#steps.next(offsets, journal)) {
      if (!this.#isLost) this.#follow(step)
      this.#followed.push(step)
      expected.push(...this.#refer(step))
    }
    return {
      replayed: this.#isLost ? undefined : this.#commit(),
      expected: this.#reference === undefined ? undefined : expected,
    }
  }

  /**
   * The same steps again, from the beginning, in other batches and with other commits: all appends, in order. Undefined where it
   * could not be followed.
   */
  async again(random: SeededRandom): Promise<readonly Append[] | undefined> {
    if (this.#isLost) return undefined
    const other = await TaskReplay.of({ ...this.#setup, reference: undefined })
    const appends: Append[] = []
    for (let at = 0; at < this.#followed.length;) {
      const batch = this.#followed.slice(at, at + random.between(1, BATCH_MAX))
      at += other.#followTogether(batch)
      if (random.chance(COMMIT_CHANCE)) appends.push(...other.#commitTaken())
    }
    return [...appends, ...other.#commitTaken()]
  }

  /** As many of the first as lie in one input, added at once; how many. */
  #followTogether(steps: readonly TaskStep[]): number {
    const [first] = steps
    if (first?.kind !== 'record' || first.isRejected) {
      if (first !== undefined) this.#follow(first)
      return 1
    }
    let count = 0
    for (const step of steps) {
      if (step.kind !== 'record' || step.isRejected || step.input !== first.input) break
      this.#task.add(batchOf(step.input, step.record))
      this.#taken.set(partitionKey(step.input), step.record.offset + 1)
      count += 1
    }
    this.#isRejecting = false
    this.#task.process(count, this.#atTaken)
    return count
  }

  #commitTaken(): readonly Append[] {
    this.#target = this.#taken
    return this.#commit().appends
  }

  #commit(): Replayed {
    const sealed = this.#task.seal(this.#atTarget)
    if (sealed === undefined) return { appends: [], offsets: [], stores: [] }
    for (const { store, changes } of sealed.stores) void store.apply(changes, HEADER)
    this.#task.release()
    return sealed
  }

  #follow(step: TaskStep): void {
    if (step.kind !== 'record') {
      this.#isLost = true
      return
    }
    const { input, record, isRejected } = step
    this.#task.add(batchOf(input, record))
    this.#taken.set(partitionKey(input), record.offset + 1)
    this.#isRejecting = isRejected
    this.#task.process(1, this.#atTaken)
  }

  #refer(step: TaskStep): readonly SimulatedInput[] {
    if (step.kind === 'tick') return this.#reference?.tick?.(step.timeMs) ?? []
    if (step.kind === 'punctuate') {
      return this.#reference?.punctuate?.(step.name, step.timeMs) ?? []
    }
    if (step.kind !== 'record' || step.isRejected) return []
    const { key, value, timestampMs } = step.record
    const { topic } = step.input
    return (
      this.#reference?.take({ topic, key: nullable(key), value: nullable(value), timestampMs }) ??
      []
    )
  }

  /** All there is has been handed in. */
  readonly #atTaken = (input: TopicPartition): Progress => at(this.#taken.get(partitionKey(input)))

  readonly #atTarget = (input: TopicPartition): Progress =>
    at(this.#target.get(partitionKey(input)))
}

function at(position: number = 0): Progress {
  return { position, highWatermark: position, fetchedAtMs: 0 }
}

/** Nobody asks this store where it is. */
const HEADER = {
  format: 1,
  logId: '',
  applicationId: '',
  taskId: '',
  storeName: '',
  changelogs: [],
  appliedInputs: {},
  appliedAtMs: 0,
}

/** Empty between two batches. */
const writer = new RecordBatchWriter()

function batchOf(input: TopicPartition, record: PlainRecord): Parameters<Task['add']>[0] {
  const { key, value, timestampMs, headers, offset } = record
  writer.add(timestampMs, nullable(key), nullable(value), headers)
  const bytes = writer.finish()
  stampOffsets(bytes, { baseOffset: offset, leaderEpoch: 0 })
  const { topic, partition } = input
  return { topic, partition, bytes, baseOffset: offset, nextOffset: offset + 1 }
}

function nullable(text: string | null): Uint8Array | null {
  return text === null ? null : bytesOf(text)
}
