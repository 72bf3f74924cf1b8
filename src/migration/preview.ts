/**
 * What `migrate` would do, and what would stop it.
 *
 * Invariant: nothing is written, on either side.
 */
import { type Log, type OffsetCommit, type TopicConfig } from '#log'
import { Ledger } from './ledger.ts'
import { placesOf, planMigration, type Selection } from './plan.ts'
import { checkTargets } from './targets.ts'

export interface MigrationPreview {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: number
    readonly config: TopicConfig
    /** To be copied: offsets, of which some may be markers or gaps. */
    readonly offsetsLeft: number
    readonly state: 'new' | 'begun' | 'finished'
  }[]
  readonly groups: readonly {
    readonly groupId: string
    readonly offsets: readonly OffsetCommit[]
    readonly isCarried: boolean
  }[]
  readonly notes: readonly string[]
}

/** `target` undefined: it does not exist yet. */
export async function previewMigration(
  source: Log,
  target: Log | undefined,
  selection: Selection,
): Promise<MigrationPreview> {
  const plan = await planMigration(source, selection)
  const ledger = target === undefined ? undefined : await Ledger.read(target, source.id)
  if (target !== undefined && ledger !== undefined) {
    await checkTargets(target, plan.topics, ledger)
  }
  const topics: MigrationPreview['topics'][number][] = []
  for (const described of plan.topics) {
    const { topic, partitions, config } = described
    const known = ledger?.topics.get(topic)
    let offsetsLeft = 0
    for (const place of placesOf([described])) {
      const next = ledger?.partition(place)?.next ?? 0
      const from = Math.max(next, await source.earliestOffset(place))
      offsetsLeft += Math.max(0, (await source.endOffset(place, 'read-uncommitted')) - from)
    }
    const state = known === undefined ? 'new' : known.isFinished ? 'finished' : 'begun'
    topics.push({ topic, partitions, config, offsetsLeft, state })
  }
  const groups = plan.groups.map(({ groupId, offsets }) => ({
    groupId,
    offsets,
    isCarried: ledger?.groups.has(groupId) ?? false,
  }))
  return { topics, groups, notes: plan.notes }
}
