/**
 * One task, run again from what was recorded: the same code, on nothing but the inputs in the order that the journal says, never
 * crashed, moved or restored. What it writes up to a committed offset is what the application must have written.
 *
 * Invariant: it is at the committed offsets, always.
 */
import {
  RecordBatchWriter,
  partitionKey,
  stampOffsets,
  type Append,
  type OffsetCommit,
  type TopicPartition,
} from '#log'
import { decodeJournal, Task, type TaskOptions } from '#runtime'
import type { StateStore } from '#state'
import { MemoryBackend } from '#state/memory'
import type { SubTopology, Topology } from '#topology'
import type { Broker } from '../broker.ts'
import { bytesOf, recordsOf, type PlainRecord } from './records.ts'
import type { ReferenceTask, TakenRecord } from './reference.ts'
import type { SimulatedInput } from '../simulated-input.ts'

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
  /** What it must have written by the reference, if there is one. */
  readonly expected: readonly SimulatedInput[] | undefined
}

type SealedStore = NonNullable<ReturnType<Task['seal']>>['stores'][number]

export class TaskReplay {
  readonly taskId: string
  readonly subTopology: SubTopology
  readonly inputs: readonly TopicPartition[]
  readonly #broker: Broker
  readonly #task: Task
  readonly #reference: ReferenceTask | undefined
  readonly #positions = new Map<string, number>()
  #expected: SimulatedInput[] = []
  /** Where the commit ends, by input. */
  #target: ReadonlyMap<string, number> = new Map()

  /** The clock that a verdict of R14 has read is not there: the journal says what it was. */
  #rejected: ReadonlySet<string> = new Set()
  #isRejecting: boolean = false

  private constructor(setup: ReplaySetup, stores: ReadonlyMap<string, StateStore>) {
    const { topology, subTopology, partition, partitionCounts, options, broker } = setup
    const { applicationId } = topology
    this.taskId = `${subTopology.number}_${partition}`
    this.subTopology = subTopology
    this.#broker = broker
    this.#reference = setup.reference
    this.#task = new Task({
      identity: { applicationId, topology, subTopology, partition, taskId: this.taskId },
      stores,
      partitionCounts,
      options,
      wallClockMs: () => (this.#isRejecting ? 0 : Number.MAX_SAFE_INTEGER),
    })
    this.inputs = this.#task.inputs
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
  advance(offsets: readonly OffsetCommit[], journal: Uint8Array | undefined): Replayed {
    this.#target = new Map(offsets.map((offset) => [partitionKey(offset), offset.offset]))
    const entries = journal === undefined ? [] : decodeJournal(journal, this.taskId).entries
    this.#rejected = new Set(
      entries.flatMap((entry) =>
        entry.kind === 'reject' ? [`${entry.input} ${entry.offset}`] : [],
      ),
    )
    for (const entry of entries) {
      if (entry.kind === 'run') this.#run(entry.input, entry.records)
    }
    for (const input of this.inputs.keys()) this.#run(input, Number.POSITIVE_INFINITY)
    const sealed = this.#task.seal(this.#progressOf)
    const expected = this.#reference === undefined ? undefined : this.#expected
    this.#expected = []
    if (sealed === undefined) return { appends: [], offsets: [], stores: [], expected }
    for (const { store, changes } of sealed.stores) void store.apply(changes, HEADER)
    this.#task.release()
    return { ...sealed, expected }
  }

  /** So many records of an input, or all below its target. */
  #run(index: number, recordsMax: number): void {
    const input = this.inputs[index]
    if (input === undefined) return
    const key = partitionKey(input)
    const from = this.#positions.get(key) ?? 0
    const target = this.#target.get(key) ?? from
    const taken = this.#recorded(input, from, target, recordsMax)
    for (const record of taken) {
      this.#task.add(batchOf(input, record))
      this.#positions.set(key, record.offset + 1)
      this.#isRejecting = this.#rejected.has(`${index} ${record.offset}`)
      this.#task.process(1, this.#caughtUp)
      if (this.#reference === undefined) continue
      this.#expected.push(...this.#reference.take(takenOf(input.topic, record)))
    }
  }

  /** What counts, of what lies between two offsets. */
  #recorded(
    input: TopicPartition,
    from: number,
    target: number,
    recordsMax: number,
  ): readonly PlainRecord[] {
    const partition = this.#broker.partition(input)
    const records: PlainRecord[] = []
    for (let at = partition.indexFrom(from); records.length < recordsMax; at += 1) {
      const entry = partition.entries[at]
      if (entry === undefined || entry.baseOffset >= target) break
      if (entry.bytes === undefined || entry.transaction?.isCommitted === false) continue
      const { topic } = input
      for (const record of recordsOf({ topic, partition: input.partition, bytes: entry.bytes })) {
        const isWanted = record.offset >= from && record.offset < target
        if (isWanted && records.length < recordsMax) records.push(record)
      }
    }
    return records
  }

  /** All there is has been handed in. */
  readonly #caughtUp = (input: TopicPartition): ReturnType<Parameters<Task['process']>[1]> => {
    const position = this.#positions.get(partitionKey(input)) ?? 0
    return { position, highWatermark: position, fetchedAtMs: 0 }
  }

  readonly #progressOf = (input: TopicPartition): ReturnType<Parameters<Task['process']>[1]> => {
    const position = this.#target.get(partitionKey(input)) ?? 0
    return { position, highWatermark: position, fetchedAtMs: 0 }
  }
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

function batchOf(input: TopicPartition, record: PlainRecord): Parameters<Task['add']>[0] {
  const writer = new RecordBatchWriter()
  const { key, value, timestampMs, headers, offset } = record
  writer.add(timestampMs, nullable(key), nullable(value), headers)
  const bytes = writer.finish()
  stampOffsets(bytes, { baseOffset: offset, leaderEpoch: 0 })
  const { topic, partition } = input
  return { topic, partition, bytes, baseOffset: offset, nextOffset: offset + 1 }
}

function takenOf(topic: string, { key, value, timestampMs }: PlainRecord): TakenRecord {
  return { topic, key: nullable(key), value: nullable(value), timestampMs }
}

function nullable(text: string | null): Uint8Array | null {
  return text === null ? null : bytesOf(text)
}
