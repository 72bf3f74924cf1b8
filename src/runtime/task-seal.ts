/**
 * Step 1 of a commit: what a task has written since the last one, as one value that no longer changes.
 *
 * Invariant: every input's offset and metadata are in it, whether or not they moved (R1).
 */
import { partitionKey, type Append, type OffsetCommit } from '#log'
import type { SealedWrites, TaskStore } from '#state'
import { assert } from '#system'
import type { StoreSpec } from '#topology'
import { changelogTopicOf } from './internal-names.ts'
import { OutputPartition } from './output-partition.ts'
import { plainBytes, type TaskCollector } from './record-collector.ts'
import type { RecordQueue } from './record-queue.ts'
import type { SealedStore, SealedTask } from './task-contract.ts'
import type { TaskSetup } from './task-options.ts'
import type { TaskTimes } from './task-times.ts'

export function sealTask(
  setup: TaskSetup,
  stores: ReadonlyMap<string, TaskStore>,
  collector: TaskCollector,
  queues: readonly RecordQueue[],
  times: TaskTimes,
): SealedTask {
  const metadata = times.save()
  const appends: Append[] = []
  const sealedStores = setup.identity.subTopology.stores.map((spec) => {
    const writes = stores.get(spec.name)?.seal()
    const store = setup.stores.get(spec.name)
    assert(writes !== undefined && store !== undefined, `store ${spec.name} belongs to the task`)
    const changelogAppends = appendChangelog(setup, spec, writes, appends)
    return { storeName: spec.name, store, changes: writes.changes, changelogAppends }
  }) satisfies readonly SealedStore[]
  collector.seal(appends)
  const offsets = queues.map(({ input, position, index }): OffsetCommit => ({
    ...input,
    offset: position,
    metadata: metadata[index] ?? '',
  }))
  return {
    taskId: setup.identity.taskId,
    appends,
    offsets,
    stores: sealedStores,
    inputPositions: Object.fromEntries(offsets.map((input) => [partitionKey(input), input.offset])),
  }
}

/** Adds a store's changelog batches; returns which appends they are. */
function appendChangelog(
  { identity, wallClockMs }: TaskSetup,
  spec: StoreSpec,
  { changelog }: SealedWrites,
  appends: Append[],
): readonly number[] {
  if (changelog.length === 0) return []
  const output = new OutputPartition(changelogTopicOf(identity.topology, spec), identity.partition)
  for (const { key, value, timestampMs, headers } of changelog) {
    output.add(timestampMs ?? wallClockMs(), key, plainBytes, value, plainBytes, headers ?? [])
  }
  const first = appends.length
  output.seal(appends)
  return Array.from({ length: appends.length - first }, (_, n) => first + n)
}
