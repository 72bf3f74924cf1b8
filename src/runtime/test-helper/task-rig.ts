/**
 * Tasks in a test's hands, with topics that are lists: records go in by name, commits come out as records.
 *
 * Invariant: it does what a worker and a committer do, one step at a time and only when told.
 */
import {
  partitionKey,
  RecordBatchWriter,
  RecordCursor,
  stampOffsets,
  type Append,
  type CommittedOffset,
  type TopicPartition,
} from '#log'
import { STORE_FORMAT, type StateStore, type StoreChange } from '#state'
import { MemoryBackend } from '#state/memory'
import type { Topology } from '#topology'
import { Buffer } from 'node:buffer'
import { taskIdOf } from '../internal-names.ts'
import { decodeJournal, type JournalRecord } from '../journal.ts'
import type { ProgressOf, SealedTask, StepResult } from '../task-contract.ts'
import { DEFAULT_TASK_OPTIONS, type TaskOptions, type TaskSetup } from '../task-options.ts'
import { Task } from '../task.ts'

export interface RigRecord {
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly headers?: readonly (readonly [string, Uint8Array | null])[]
}

export interface StoredRecord extends RigRecord {
  readonly keyBytes: Uint8Array | null
  readonly valueBytes: Uint8Array | null
  readonly headers: readonly (readonly [string, Uint8Array | null])[]
}

export interface TaskRigOptions {
  /** Partition counts by full topic name. */
  readonly partitions: Readonly<Record<string, number>>
  /** `max.message.bytes` by full topic name. */
  readonly batchLimits?: Readonly<Record<string, number>>
  readonly options?: Partial<TaskOptions>
  readonly careful?: TaskSetup['careful']
  /** Records in one fetched batch. */
  readonly batchRecords?: number
}

export class TaskRig {
  nowMs: number = 1_000_000
  elapsedMs: number = 0
  /** Inputs whose fetches fail, and where the log ends for those that are said to have more than was fetched. */
  readonly unreachable: Set<string> = new Set()
  readonly highWatermarks: Map<string, number> = new Map()

  readonly topology: Topology
  readonly committed: Map<string, CommittedOffset> = new Map()
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly #batchLimits: ReadonlyMap<string, number>
  readonly #careful: TaskSetup['careful']
  readonly #options: TaskOptions
  readonly #batchRecords: number
  readonly #topics: Map<string, StoredRecord[]> = new Map()
  readonly #fetchedTo: Map<string, number> = new Map()
  readonly #fetchedAtMs: Map<string, number> = new Map()
  readonly #backend: MemoryBackend = new MemoryBackend()
  readonly #stores: Map<string, ReadonlyMap<string, StateStore>> = new Map()

  constructor(topology: Topology, rig: TaskRigOptions) {
    const { partitions, batchLimits = {}, options, batchRecords = 3 } = rig
    this.topology = topology
    this.partitionCounts = new Map(Object.entries(partitions))
    this.#batchLimits = new Map(Object.entries(batchLimits))
    this.#careful = rig.careful
    this.#options = { ...DEFAULT_TASK_OPTIONS, ...options }
    this.#batchRecords = batchRecords
  }

  async task(subTopology: number, partition: number): Promise<Task> {
    const { topology } = this
    const { applicationId } = topology
    const taskId = taskIdOf(subTopology, partition)
    const part = topology.subTopologies[subTopology]
    if (part === undefined) throw new RangeError(`no sub-topology ${subTopology}`)
    let stores = this.#stores.get(taskId)
    if (stores === undefined) {
      const opened = new Map<string, StateStore>()
      for (const { name: storeName } of part.stores) {
        const location = { applicationId, taskId, storeName }
        opened.set(storeName, (await this.#backend.open(location)).store)
      }
      stores = opened
      this.#stores.set(taskId, stores)
    }
    const task = new Task({
      identity: { applicationId, topology, subTopology: part, partition, taskId },
      stores,
      partitionCounts: this.partitionCounts,
      batchLimits: this.#batchLimits,
      options: this.#options,
      ...(this.#careful && { careful: this.#careful }),
      wallClockMs: () => this.nowMs,
    })
    await task.loadStores()
    task.start(this.committed)
    for (const input of task.inputs) {
      this.#fetchedTo.set(partitionKey(input), this.committed.get(partitionKey(input))?.offset ?? 0)
    }
    return task
  }

  append(topic: string, partition: number, ...records: readonly RigRecord[]): void {
    const stored = records.map(({ key, value, timestampMs, headers = [] }) => ({
      key,
      value,
      timestampMs,
      headers,
      keyBytes: key === null ? null : Buffer.from(key),
      valueBytes: value === null ? null : Buffer.from(value),
    }))
    this.records(topic, partition).push(...stored)
  }

  records(topic: string, partition: number): StoredRecord[] {
    const key = partitionKey({ topic, partition })
    const records = this.#topics.get(key) ?? []
    this.#topics.set(key, records)
    return records
  }

  /** Values of a partition, or of all partitions of a topic. */
  values(topic: string, partition?: number): readonly (string | null)[] {
    const count = this.partitionCounts.get(topic) ?? 0
    const partitions =
      partition === undefined ? Array.from({ length: count }, (_, n) => n) : [partition]
    return partitions.flatMap((n) => this.records(topic, n).map(({ value }) => value))
  }

  /** Fetches everything there is for these inputs of a task; all of them unless named. */
  fetch(task: Task, ...topics: readonly string[]): void {
    for (const input of task.inputs) {
      const key = partitionKey(input)
      if (this.unreachable.has(key)) continue
      if (topics.length > 0 && !topics.includes(input.topic)) continue
      this.#fetchedAtMs.set(key, this.elapsedMs)
      const records = this.records(input.topic, input.partition)
      for (let from = this.#fetchedTo.get(key) ?? 0; from < records.length;) {
        const slice = records.slice(from, from + this.#batchRecords)
        task.add(fetched(input, from, slice))
        from += slice.length
        this.#fetchedTo.set(key, from)
      }
    }
  }

  readonly progressOf: ProgressOf = (input) => {
    const key = partitionKey(input)
    const fetchedAtMs = this.#fetchedAtMs.get(key)
    if (fetchedAtMs === undefined) return undefined
    const end = this.records(input.topic, input.partition).length
    const highWatermark = this.highWatermarks.get(key) ?? end
    return { position: this.#fetchedTo.get(key) ?? 0, highWatermark, fetchedAtMs }
  }

  /** Fetches, then processes. */
  run(task: Task, recordsMax: number = Infinity): StepResult {
    this.fetch(task)
    return task.process(recordsMax, this.progressOf)
  }

  /** A whole commit that succeeds. */
  async commit(task: Task): Promise<SealedTask | undefined> {
    const sealed = task.seal(this.progressOf)
    if (sealed === undefined) return undefined
    for (const append of sealed.appends) this.#keep(append)
    for (const { topic, partition, offset, metadata } of sealed.offsets) {
      this.committed.set(partitionKey({ topic, partition }), { offset, metadata })
    }
    for (const { store, storeName, changes } of sealed.stores) {
      await this.#apply(task, storeName, store, changes)
    }
    task.release()
    return sealed
  }

  /** Time passes; the inputs are fetched every second. True if a tick did anything. */
  silence(
    task: Task,
    forMs: number,
    mayTick: (applicationId: string) => boolean = () => true,
  ): boolean {
    let did = false
    for (let passedMs = 0; passedMs < forMs; passedMs += 1000) {
      const stepMs = Math.min(1000, forMs - passedMs)
      this.elapsedMs += stepMs
      this.nowMs += stepMs
      this.fetch(task)
      task.process(Infinity, this.progressOf)
      if (task.tick(this.elapsedMs, this.progressOf, mayTick)) did = true
    }
    return did
  }

  async #apply(
    task: Task,
    storeName: string,
    store: StateStore,
    changes: readonly StoreChange[],
  ): Promise<void> {
    await store.apply(changes, {
      format: STORE_FORMAT,
      logId: 'rig',
      applicationId: this.topology.applicationId,
      storeName,
      taskId: task.taskId,
      changelogs: [],
      appliedInputs: {},
      appliedAtMs: this.nowMs,
    })
  }

  #keep({ topic, partition, bytes }: Append): void {
    const cursor = new RecordCursor()
    cursor.open(bytes, { topic, partition })
    while (cursor.next()) {
      const { buffer, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = cursor
      const keyBytes = keyStart < 0 ? null : Buffer.from(buffer.subarray(keyStart, keyEnd))
      const valueBytes = valueStart < 0 ? null : Buffer.from(buffer.subarray(valueStart, valueEnd))
      this.records(topic, partition).push({
        key: keyBytes?.toString() ?? null,
        value: valueBytes?.toString() ?? null,
        keyBytes,
        valueBytes,
        timestampMs,
        headers: cursor.headers(),
      })
    }
  }
}

function fetched(
  input: TopicPartition,
  baseOffset: number,
  records: readonly StoredRecord[],
): Parameters<Task['add']>[0] {
  const writer = new RecordBatchWriter()
  for (const { timestampMs, keyBytes, valueBytes, headers } of records) {
    writer.add(timestampMs, keyBytes, valueBytes, headers)
  }
  const bytes = writer.finish()
  stampOffsets(bytes, { baseOffset, leaderEpoch: 0 })
  return { ...input, bytes, baseOffset, nextOffset: baseOffset + records.length }
}

/** A record with key `k`. */
export const at = (timestampMs: number, value: string, key: string | null = 'k'): RigRecord => ({
  key,
  value,
  timestampMs,
})

/** Topics that the application `app` owns beside its changelogs, for a topology of one sub-topology. */
export const owned = { 'app-0-journal': 1, 'app-late': 1, 'app-dead-letters': 1 } as const

export function journalOf(rig: TaskRig): readonly JournalRecord[] {
  return rig
    .records('app-0-journal', 0)
    .map(({ valueBytes }) => decodeJournal(valueBytes ?? new Uint8Array(), '0_0'))
}

export function thrownBy(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}
