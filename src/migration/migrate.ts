/**
 * Moves topics, what groups have committed, and all that names their offsets from one log to another, so that an application
 * goes on there where it was.
 *
 * What an application needs lies on the log: its inputs and outputs, its changelogs, its journals and dead letters, and its
 * committed offsets with the times in their metadata. Stores are not moved: they belong to a log and a topic (R6), and are
 * rebuilt from the changelogs.
 *
 * It may be ended at any moment: the same call goes on where the last one was.
 *
 * Invariant: the source is only read. No record is ever on the target twice, and groups have offsets there only when everything
 * below and behind them has been copied, and compared if that is asked for.
 */
import {
  BATCH_BYTES_MAX,
  LogError,
  partitionKey,
  type Log,
  type OffsetCommit,
  type TopicPartition,
} from '#log'
import { delay, type Clock, type Failpoint } from '#system'
import { Copier } from './copier.ts'
import { Ledger, type LedgerEntry } from './ledger.ts'
import { MigrationError } from './migration-error.ts'
import { PartitionRecords } from './partition-records.ts'
import { committedBy, refuseMembers, type PlannedGroup } from './plan-groups.ts'
import { placesOf, planMigration, type PlannedTopic, type Selection } from './plan.ts'
import { checkTargets, makeTargets } from './targets.ts'
import {
  asItIs,
  translateDeadLetter,
  translateJournal,
  type Maps,
  type Translate,
} from './translate.ts'
import { verifyTopic, type VerifiedTopic } from './verify.ts'

/** Fences every earlier migration to the same target. */
const TRANSACTIONAL_ID = 'millrace-migration'
const ATTEMPTS_MAX = 5
const BACKOFF_MS = 1_000

/** Where a drill may kill the process, in the order in which they are passed. */
export const MIGRATION_FAILPOINTS: readonly string[] = [
  'migration:topics-made',
  'migration:before-commit',
  'migration:after-commit',
  'migration:copied',
  'migration:verified',
  'migration:group',
  'migration:finished',
]

export interface MigrationOptions {
  readonly source: Log
  readonly target: Log
  readonly selection: Selection
  /** Compares every record afterwards. */
  readonly verify: boolean
  readonly clock: Clock
  readonly failpoint: Failpoint
  readonly onProgress: (progress: MigrationProgress) => void
}

export interface MigrationProgress {
  readonly step: 'copying' | 'comparing'
  readonly topic: string
  /** Copied or compared by this call so far, of all topics. */
  readonly records: number
}

export interface MigrationReport {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: number
    /** Brought by this call; the others were there. */
    readonly copied: number
    readonly verified: VerifiedTopic | undefined
  }[]
  readonly groups: readonly string[]
  readonly notes: readonly string[]
  /** Everything that was asked for had been done before. */
  readonly isRepeated: boolean
}

/** Rejects with MigrationError for what only a person can mend, and with LogError. */
export async function migrate(options: MigrationOptions): Promise<MigrationReport> {
  if (options.source.id === options.target.id) {
    throw new MigrationError('SELECTION', 'source and target are the same log')
  }
  const migration = new Migration(options)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await migration.run()
    } catch (error) {
      const mayPass =
        error instanceof LogError
          ? error.retriable
          : error instanceof MigrationError && error.code === 'INTERRUPTED'
      if (!mayPass || attempt === ATTEMPTS_MAX) throw error
      await delay(options.clock, attempt * BACKOFF_MS)
    }
  }
}

class Migration {
  readonly #options: MigrationOptions
  readonly #copied = new Map<string, number>()
  #records = 0
  /** By this call. */
  #hasDone = false

  constructor(options: MigrationOptions) {
    this.#options = options
  }

  async run(): Promise<MigrationReport> {
    const { source, target, selection, clock, failpoint } = this.#options
    const plan = await planMigration(source, selection)
    await Ledger.create(target)
    const writer = await target.writer({ transactionalId: TRANSACTIONAL_ID })
    try {
      // Behind the writer, which has ended what an earlier one left open.
      const ledger = await Ledger.read(target, source.id)
      await checkTargets(target, plan.topics, ledger)
      const groups = plan.groups.filter(({ groupId }) => !ledger.groups.has(groupId))
      await this.#checkGroups(groups, plan.topics)
      const copier = new Copier({
        source,
        writer,
        ledger,
        clock,
        failpoint,
        onRecords: (topic, records) => this.#onCopied(topic, records),
      })
      const open = plan.topics.filter(({ topic }) => !ledger.topics.get(topic)?.isFinished)
      this.#hasDone ||= open.length > 0 || groups.length > 0
      await copier.note(await makeTargets(target, plan.topics, ledger))
      failpoint('migration:topics-made')
      await this.#copy(copier, open, ledger)
      failpoint('migration:copied')
      const verified = new Map<string, VerifiedTopic>()
      for (const topic of this.#options.verify ? open : []) {
        verified.set(topic.topic, await this.#verify(topic, ledger))
      }
      failpoint('migration:verified')
      await this.#refuseMoved(plan.topics, ledger, copier.ends)
      for (const { groupId, offsets } of groups) {
        await copier.commitGroup(groupId, await this.#targetOffsets(offsets, ledger))
      }
      await copier.note(finished(open, ledger))
      failpoint('migration:finished')
      return {
        topics: plan.topics.map(({ topic, partitions }) => ({
          topic,
          partitions,
          copied: this.#copied.get(topic) ?? 0,
          verified: verified.get(topic),
        })),
        groups: plan.groups.map(({ groupId }) => groupId),
        notes: plan.notes,
        isRepeated: !this.#hasDone,
      }
    } finally {
      await writer.close()
    }
  }

  /** What names offsets is translated by maps that must be whole: each kind waits for what is before it. */
  async #copy(copier: Copier, topics: readonly PlannedTopic[], ledger: Ledger): Promise<void> {
    let before: PlannedTopic['role']['kind'] = 'plain'
    for (const topic of topics) {
      const { kind } = topic.role
      if (kind !== before || kind === 'dead-letters') await copier.flush()
      before = kind
      const bytesMax = Number(topic.config['max.message.bytes'] ?? BATCH_BYTES_MAX)
      for (const place of placesOf([topic])) {
        await copier.copyPartition(place, translateFor(topic, place, ledger), bytesMax)
      }
    }
    await copier.flush()
  }

  async #verify(topic: PlannedTopic, ledger: Ledger): Promise<VerifiedTopic> {
    const { source, target, onProgress } = this.#options
    const verified = await verifyTopic({ source, target, ledger }, topic, (place) =>
      translateFor(topic, place, ledger),
    )
    onProgress({ step: 'comparing', topic: topic.topic, records: verified.records })
    return verified
  }

  async #checkGroups(
    groups: readonly PlannedGroup[],
    topics: readonly PlannedTopic[],
  ): Promise<void> {
    const { target } = this.#options
    const described = await target.describeGroups(groups.map(({ groupId }) => groupId))
    for (const group of described) refuseMembers(group, 'the target')
    for (const { groupId } of groups) {
      const [found] = await committedBy(target, groupId, placesOf(topics))
      if (found === undefined) continue
      throw new MigrationError(
        'TARGET_IN_USE',
        `group ${groupId} has committed offsets on the target already, of ${partitionKey(found)} for one: delete it there`,
      )
    }
  }

  /** What has been consumed to the end is at the end there too, whatever lies behind the last record. */
  async #targetOffsets(
    offsets: readonly OffsetCommit[],
    ledger: Ledger,
  ): Promise<readonly OffsetCommit[]> {
    const { target } = this.#options
    const translated: OffsetCommit[] = []
    for (const { topic, partition, offset, metadata } of offsets) {
      const place = { topic, partition }
      const found = ledger.map(place)?.recordFrom(offset)
      const next = found ?? (await target.endOffset(place, 'read-uncommitted'))
      translated.push({ ...place, offset: next, metadata })
    }
    return translated
  }

  async #refuseMoved(
    topics: readonly PlannedTopic[],
    ledger: Ledger,
    ends: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { source } = this.#options
    const moved = new Set<string>()
    for (const place of placesOf(topics)) {
      const end = await source.endOffset(place, 'read-uncommitted')
      if (end === ends.get(partitionKey(place))) continue
      const records = await PartitionRecords.open(source, place, ledger.partition(place)?.next ?? 0)
      if (await records.next()) moved.add(place.topic)
      await records.close()
    }
    if (moved.size === 0) return
    const isFinished = [...moved].some((topic) => ledger.topics.get(topic)?.isFinished === true)
    const names = [...moved].join(', ')
    throw new MigrationError(
      'SOURCE_MOVED',
      isFinished
        ? `records came into ${names} on the source after their migration was finished: migrate to another log`
        : `records came into ${names} on the source meanwhile: stop what writes them, and run the same command again`,
    )
  }

  #onCopied(topic: string, records: number): void {
    this.#copied.set(topic, (this.#copied.get(topic) ?? 0) + records)
    this.#records += records
    this.#options.onProgress({ step: 'copying', topic, records: this.#records })
  }
}

function translateFor(
  { role }: PlannedTopic,
  { partition }: TopicPartition,
  ledger: Ledger,
): Translate {
  const maps: Maps = (place) => ledger.map(place)
  if (role.kind === 'journal') return translateJournal(role.subTopology, partition, maps)
  return role.kind === 'dead-letters' ? translateDeadLetter(maps) : asItIs
}

function finished(topics: readonly PlannedTopic[], ledger: Ledger): readonly LedgerEntry[] {
  if (topics.length === 0) return []
  const bases = placesOf(topics).flatMap((place) => {
    const base = ledger.partition(place)?.base
    return base === undefined ? [] : [[place.topic, place.partition, base] as const]
  })
  return [{ kind: 'finished', topics: topics.map(({ topic }) => topic), bases }]
}
