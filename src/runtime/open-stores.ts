/**
 * Opens the stores of a task and decides for each whether its contents may be built upon (R6–R8).
 *
 * Invariant: whatever goes wrong here, no store stays open; and a store that does not fit is emptied before it is used.
 */
import { partitionKey, type CommittedOffset, type Log, type TopicPartition } from '#log'
import { storeFit, type ChangelogFacts, type OpenedStore, type StoreLocation } from '#state'
import { assert } from '#system'
import type { StoreSpec } from '#topology'
import type { StoreBackends } from './backends.ts'
import { changelogTopicOf } from './internal-names.ts'
import { OpenStore, type Changelog } from './open-store.ts'
import type { RestoreGoal } from './restorer.ts'
import type { Machine } from './streams-options.ts'
import type { TaskIdentity } from './task-contract.ts'

/** Kafka's default for `delete.retention.ms`. */
const DELETE_RETENTION_MS = 86_400_000

export interface StoreOpening {
  readonly log: Log
  readonly backends: StoreBackends
  readonly machine: Machine
}

/** The stores of a task, open, and what is still to be restored into them. */
export interface OpenedTask {
  readonly stores: ReadonlyMap<string, OpenStore>
  readonly goals: readonly RestoreGoal[]
}

/** R3: `committed` has been read as stable before this is called, so that the ends asked here are not too low. */
export async function openStores(
  opening: StoreOpening,
  identity: TaskIdentity,
  committed: ReadonlyMap<string, CommittedOffset>,
  mode: 'active' | 'standby',
): Promise<OpenedTask> {
  const { stores: specs } = identity.subTopology
  const changelogs = await changelogsOf(opening.log, identity, specs)
  // All at once: brokers are further away than a disk.
  const opened = await Promise.allSettled(
    specs.map((spec) =>
      openOne(opening, identity, spec, changelogs.get(spec.name), committed, mode),
    ),
  )
  const stores = new Map<string, OpenStore>()
  const goals: RestoreGoal[] = []
  for (const one of opened) {
    if (one.status === 'rejected') continue
    const { store, goal } = one.value
    stores.set(store.spec.name, store)
    if (goal !== undefined) goals.push(goal)
  }
  const failed = opened.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') {
    await closeStores(stores)
    throw failed.reason
  }
  return { stores, goals }
}

/** Closes what can be closed; a store that fails at it is lost to this process, and the next opening says so. */
export async function closeStores(stores: ReadonlyMap<string, OpenStore>): Promise<void> {
  await Promise.allSettled([...stores.values()].map(({ store }) => store.close()))
}

async function openOne(
  opening: StoreOpening,
  identity: TaskIdentity,
  spec: StoreSpec,
  changelog: Changelog | undefined,
  committed: ReadonlyMap<string, CommittedOffset>,
  mode: 'active' | 'standby',
): Promise<{ readonly store: OpenStore; readonly goal: RestoreGoal | undefined }> {
  const { log, backends, machine } = opening
  const { applicationId, taskId } = identity
  const backend = await backends.for(spec)
  const location: StoreLocation = { applicationId, taskId, storeName: spec.name }
  const { restoreBatchRows, restoreSliceRows } = backend
  const owner = { logId: log.id, applicationId, taskId, restoreBatchRows, restoreSliceRows }

  let opened = await backend.open(location)
  try {
    const facts = await factsOf(opening, identity, spec, changelog, opened, committed)
    const fit = storeFit(opened.store.header(), facts, opened.wiped)
    let reason = opened.store.header() === undefined ? 'new' : 'behind'
    let position: number
    if (fit.fits) {
      position = fit.position
    } else {
      reason = `${fit.reason}: ${fit.text}`
      machine.observer({ kind: 'store-rebuilt', applicationId, taskId, store: spec.name, reason })
      if (opened.wiped === undefined) {
        await opened.store.close()
        await backend.wipe(location)
        opened = await backend.open(location)
      }
      position = facts.earliestOffset
    }
    const store = new OpenStore(owner, spec, opened.store, changelog)
    // A standby of a table whose changelog is its input does not know how far that input may be applied.
    if (changelog === undefined || (mode === 'standby' && changelog.isInput)) {
      return { store, goal: undefined }
    }
    const target = mode === 'standby' ? undefined : facts.highWatermark
    return {
      store,
      goal: { store, from: Math.max(position, facts.earliestOffset), target, reason },
    }
  } catch (error) {
    await opened.store.close().catch(() => {})
    throw error
  }
}

/** By store; one without a changelog is absent. */
async function changelogsOf(
  log: Log,
  { topology, partition }: TaskIdentity,
  specs: readonly StoreSpec[],
): Promise<ReadonlyMap<string, Changelog>> {
  const logged = specs.filter((spec) => spec.logged)
  const topics = logged.map((spec) => changelogTopicOf(topology, spec))
  const described = topics.length === 0 ? [] : await log.describeTopics([...new Set(topics)])
  const changelogs = new Map<string, Changelog>()
  for (const spec of logged) {
    const topic = changelogTopicOf(topology, spec)
    const found = described.find((one) => one.topic === topic)
    assert(found !== undefined, `the changelog ${topic} is created before tasks are`)
    changelogs.set(spec.name, {
      topic,
      partition,
      topicId: found.topicId,
      isInput: spec.changelogTopic !== undefined,
      deleteRetentionMs: Number(found.config['delete.retention.ms'] ?? DELETE_RETENTION_MS),
    })
  }
  return changelogs
}

async function factsOf(
  { log, machine }: StoreOpening,
  { applicationId, taskId }: TaskIdentity,
  spec: StoreSpec,
  changelog: Changelog | undefined,
  opened: OpenedStore,
  committed: ReadonlyMap<string, CommittedOffset>,
): Promise<ChangelogFacts> {
  const { topic, partition, topicId, deleteRetentionMs } = changelog ?? NO_CHANGELOG
  const place: TopicPartition = { topic, partition }
  const applied = opened.store.header()?.changelogs.find((entry) => entry.topic === topic)
  const ends =
    changelog === undefined
      ? NO_ENDS
      : await endsOf(log, place, applied?.position, applied?.leaderEpoch)
  // R3: where an input is the changelog, it ends for the store where the task has committed it.
  const highWatermark =
    changelog?.isInput === true
      ? (committed.get(partitionKey(place))?.offset ?? 0)
      : ends.highWatermark
  return {
    ...ends,
    highWatermark,
    logId: log.id,
    applicationId,
    storeName: spec.name,
    taskId,
    topic,
    topicId,
    partition,
    deleteRetentionMs,
    nowMs: machine.clock.nowMs(),
  }
}

type Ends = Pick<
  ChangelogFacts,
  'earliestOffset' | 'highWatermark' | 'endOffsetOfEpoch' | 'tombstonesRemovedBelow'
>

async function endsOf(
  log: Log,
  place: TopicPartition,
  position: number | undefined,
  leaderEpoch: number | undefined,
): Promise<Ends> {
  const ask = async (): Promise<Ends> => {
    const [earliestOffset, endOffsetOfEpoch, tombstonesRemovedBelow, highWatermark] =
      await Promise.all([
        log.earliestOffset(place),
        leaderEpoch === undefined ? undefined : log.endOffsetOfEpoch(place, leaderEpoch),
        log.tombstonesRemovedBelow(place),
        log.endOffset(place, 'read-uncommitted'),
      ])
    return { earliestOffset, endOffsetOfEpoch, tombstonesRemovedBelow, highWatermark }
  }
  const ends = await ask()
  const end = Math.min(ends.endOffsetOfEpoch ?? -1, ends.highWatermark)
  // A follower that was just made leader may lag with its high watermark: asked once more before anything is thrown away.
  return position === undefined || position <= end ? ends : ask()
}

const NO_CHANGELOG = { topic: '', partition: 0, topicId: '', deleteRetentionMs: 0 }
const NO_ENDS: Ends = {
  earliestOffset: 0,
  highWatermark: 0,
  endOffsetOfEpoch: undefined,
  tombstonesRemovedBelow: undefined,
}
