/**
 * Step 1 of a commit: what a task has written since the last one, as one value that no longer changes.
 *
 * Invariant: every input's offset and metadata are in it, whether or not they moved (R1).
 */
import { partitionKey, type Append, type OffsetCommit } from '#log'
import type { ChangelogRecord, StateStore, TaskStore } from '#state'
import { assert } from '#system'
import { describeError } from './dead-letters.ts'
import { changelogTopicOf } from './internal-names.ts'
import { OutputPartition } from './output-partition.ts'
import { plainBytes, type TaskCollector } from './record-collector.ts'
import { isUsersError, type RecordQueue } from './record-queue.ts'
import type { SealedStore, SealedTask } from './task-contract.ts'
import { TaskError } from './task-error.ts'
import type { TaskSetup } from './task-options.ts'
import type { TaskTimes } from './task-times.ts'

export interface TaskSealParts {
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly collector: TaskCollector
  readonly queues: readonly RecordQueue[]
  readonly times: TaskTimes
}

interface SealingStore {
  readonly store: TaskStore
  readonly backend: StateStore
  /** Kept from commit to commit: it knows how large a batch becomes. */
  readonly changelog: OutputPartition
}

export class TaskSeal {
  readonly #taskId: string
  readonly #wallClockMs: () => number
  readonly #parts: TaskSealParts
  readonly #stores: readonly SealingStore[]

  constructor({ identity, stores, wallClockMs, options }: TaskSetup, parts: TaskSealParts) {
    const { collector } = parts
    this.#taskId = identity.taskId
    this.#wallClockMs = wallClockMs
    this.#parts = parts
    this.#stores = identity.subTopology.stores.map((spec) => {
      const store = parts.stores.get(spec.name)
      const backend = stores.get(spec.name)
      assert(store !== undefined && backend !== undefined, `${spec.name} is a store of the task`)
      const topic = changelogTopicOf(identity.topology, spec)
      const bytesMax = collector.batchBytesMax(topic)
      const { compression } = options
      const changelog = new OutputPartition(topic, identity.partition, bytesMax, compression)
      return { store, backend, changelog }
    })
  }

  seal(): SealedTask {
    const { collector, queues, times } = this.#parts
    const metadata = times.save()
    const appends: Append[] = []
    const stores = this.#stores.map((sealing): SealedStore => {
      const storeName = sealing.store.name
      try {
        const { changelog, changes } = sealing.store.seal()
        const changelogAppends = this.#appendChangelog(sealing.changelog, changelog, appends)
        return { storeName, store: sealing.backend, changes, changelogAppends }
      } catch (error) {
        throw this.#refused(storeName, error)
      }
    })
    collector.seal(appends)
    const offsets = queues.map(
      ({ input: { topic, partition }, position, index }): OffsetCommit => ({
        topic,
        partition,
        offset: position,
        metadata: metadata[index] ?? '',
      }),
    )
    const inputPositions = Object.fromEntries(
      offsets.map((input) => [partitionKey(input), input.offset]),
    )
    return { taskId: this.#taskId, appends, offsets, stores, inputPositions }
  }

  /** Throws if a later seal would refuse what was put since the savepoint. */
  checkPuts(): void {
    for (const { store, changelog } of this.#stores) {
      // Empty between two seals, so one record after the other can be tried in it.
      for (const record of store.encodedSinceSavepoint?.() ?? []) {
        changelog.mark(0)
        this.#add(changelog, record)
        changelog.rollback()
      }
    }
  }

  /** Adds a store's changelog batches; returns which appends they are. */
  #appendChangelog(
    output: OutputPartition,
    records: readonly ChangelogRecord[],
    appends: Append[],
  ): readonly number[] {
    for (const record of records) this.#add(output, record)
    const first = appends.length
    output.seal(appends)
    return Array.from({ length: appends.length - first }, (_, n) => first + n)
  }

  #add(output: OutputPartition, { key, value, timestampMs, headers }: ChangelogRecord): void {
    const timeMs = timestampMs ?? this.#wallClockMs()
    output.add(timeMs, key, plainBytes, value, plainBytes, headers ?? [])
  }

  /** No record can be named any more: the layer holds what many have left (`CarefulTasks`). */
  #refused(storeName: string, error: unknown): unknown {
    if (!isUsersError(error)) return error
    const taskId = this.#taskId
    const { message } = describeError(error)
    const text = `task ${taskId} cannot commit what was put into store ${storeName}: ${message}`
    return new TaskError('STORE_REFUSED', text, { taskId, cause: error })
  }
}
