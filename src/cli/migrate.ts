/**
 * `millrace migrate`: moves what is on one log to another, or goes on where a migration was ended.
 *
 * Invariant: `--dry-run`, and what the source refuses, make no file, no topic and no record.
 */
import { existsSync } from 'node:fs'
import { openLog, type Log } from '#log'
import {
  migrate as migrateLogs,
  previewMigration,
  type MigrationPreview,
  type MigrationProgress,
  type MigrationReport,
  type Selection,
} from '#migration'
import { killAtFailpoint, noFailpoint, systemClock, systemRandom } from '#system'
import { withLog } from './open.ts'
import { table } from './print.ts'

export interface MigrateFlags {
  readonly from: string
  readonly to: string
  readonly topics: string | undefined
  readonly groups: string | undefined
  readonly dryRun: boolean
  readonly verify: boolean
}

const PROGRESS_MS = 1_000
const DIGEST_CHARACTERS = 16

export async function migrate(
  flags: MigrateFlags,
  print: (text: string) => void,
  failpointSetting: string | undefined,
): Promise<void> {
  const topics = namesIn(flags.topics)
  const groups = namesIn(flags.groups)
  const selection: Selection = { ...(topics && { topics }), ...(groups && { groups }) }
  await withLog(flags.from, async (source) => {
    if (flags.dryRun) {
      print(previewText(await preview(source, flags.to, selection)))
      return
    }
    // What the source refuses leaves no empty file behind.
    if (isMissingFile(flags.to)) await previewMigration(source, undefined, selection)
    const kill = (): void => void process.kill(process.pid, 'SIGKILL')
    const failpoint =
      failpointSetting === undefined ? noFailpoint : killAtFailpoint(failpointSetting, kill)
    const clock = systemClock
    const target = await openLog(flags.to, { clock, random: systemRandom, failpoint })
    const startedMs = clock.elapsedMs()
    const onProgress = progressPrinter(print)
    const { verify } = flags
    try {
      const setup = { source, target, selection, verify, clock, failpoint, onProgress }
      const report = await migrateLogs(setup)
      print(reportText(report, clock.elapsedMs() - startedMs))
    } finally {
      await target.close()
    }
  })
}

/** Undefined: not said. An empty text names none. */
function namesIn(list: string | undefined): readonly string[] | undefined {
  return list
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

async function preview(source: Log, to: string, selection: Selection): Promise<MigrationPreview> {
  if (isMissingFile(to)) return previewMigration(source, undefined, selection)
  return withLog(to, (target) => previewMigration(source, target, selection))
}

function isMissingFile(url: string): boolean {
  return url.startsWith('sqlite:') && !existsSync(url.slice('sqlite:'.length))
}

/** A line a second, with what came since the last. */
function progressPrinter(print: (text: string) => void): (progress: MigrationProgress) => void {
  let lastMs = systemClock.elapsedMs()
  let lastRecords = 0
  return ({ step, topic, records }) => {
    const nowMs = systemClock.elapsedMs()
    const passedMs = nowMs - lastMs
    if (step !== 'copying' || passedMs < PROGRESS_MS) return
    const rate = Math.round(((records - lastRecords) * 1_000) / passedMs)
    print(`${records} records copied, ${rate}/s, at ${topic}`)
    lastMs = nowMs
    lastRecords = records
  }
}

function previewText({ topics, groups, notes }: MigrationPreview): string {
  const rows = topics.map(({ topic, partitions, offsetsLeft, state, config }) => {
    const settings = Object.entries(config).map(([name, value]) => `${name}=${value}`)
    return [topic, partitions, offsetsLeft, state, settings.join(' ')]
  })
  const groupRows = groups.map(({ groupId, offsets, isCarried }) => [
    groupId,
    offsets.length,
    isCarried ? 'carried over' : 'new',
  ])
  return [
    table(['TOPIC', 'PARTITIONS', 'OFFSETS', 'STATE', 'CONFIG'], rows),
    '',
    table(['GROUP', 'COMMITTED', 'STATE'], groupRows),
    ...notes.map((note) => `note: ${note}`),
  ].join('\n')
}

function reportText(report: MigrationReport, passedMs: number): string {
  const { topics, groups, notes, isRepeated } = report
  const rows = topics.map(({ topic, partitions, copied, verified }) => [
    topic,
    partitions,
    copied,
    verified?.records ?? '-',
    verified?.removed ?? '-',
    verified?.digest.slice(0, DIGEST_CHARACTERS) ?? '-',
  ])
  const copied = topics.reduce((sum, topic) => sum + topic.copied, 0)
  const seconds = (passedMs / 1_000).toFixed(1)
  const done = isRepeated
    ? 'everything had been migrated before'
    : `${copied} records and the offsets of ${groups.length} groups migrated in ${seconds} s`
  return [
    table(['TOPIC', 'PARTITIONS', 'COPIED', 'COMPARED', 'REMOVED', 'DIGEST'], rows),
    ...notes.map((note) => `note: ${note}`),
    `${done}${groups.length === 0 ? '' : `: ${groups.join(', ')}`}`,
  ].join('\n')
}
