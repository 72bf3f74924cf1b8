#!/usr/bin/env bun
/**
 * The `millrace` command: looks into a log, beside a running application or without one, and moves one to another.
 *
 * Invariant: a mistake of the caller is one line on stderr and exit code 2; logs that should be the same and are not are 1.
 */
import { Command, InvalidArgumentError, type CommanderError } from 'commander'
import { LogError } from '#log'
import { MigrationError } from '#migration'
import { TaskError } from '#runtime'
import { describe } from './describe.ts'
import { lag } from './lag.ts'
import { migrate, type MigrateFlags } from './migrate.ts'
import { DEFAULT_LOG, UsageError, withLog } from './open.ts'
import { read } from './read.ts'
import { topics } from './topics.ts'

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

const print = (text: string): void => console.log(text)
const program = new Command('millrace')
  .description('Looks into a Millrace log.')
  .version('0.1.0')
  .exitOverride()
  .showSuggestionAfterError()

/** Every command takes `--log`. */
function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--log <url>', 'the log: sqlite:PATH or kafka://HOST:PORT', DEFAULT_LOG)
    .exitOverride()
}

command('topics', 'list topics with partitions, sizes and configs').action(
  async ({ log }: { log: string }) => print(await withLog(log, topics)),
)

command('read', 'print the records of a topic')
  .argument('<topic>')
  .option('--from-beginning', 'start at the earliest offset, not at the end', false)
  .option('--partition <n>', 'one partition only', whole)
  .option('--limit <n>', 'stop after so many records', whole, Number.POSITIVE_INFINITY)
  .option('--follow', 'go on with what arrives, until stopped', false)
  .option('--json', 'JSON lines: topic, partition, offset, timestamp, key, value, headers', false)
  .action(async (topic: string, options: ReadFlags) => {
    const stop = new AbortController()
    process.once('SIGINT', () => stop.abort())
    process.once('SIGTERM', () => stop.abort())
    const chosen = { ...options, partition: options.partition }
    await withLog(options.log, (log) => read(log, topic, chosen, print, stop.signal))
  })
interface ReadFlags {
  readonly log: string
  readonly fromBeginning: boolean
  readonly partition: number | undefined
  readonly limit: number
  readonly follow: boolean
  readonly json: boolean
}

command('lag', 'show how far groups are behind')
  .option('--group <id>', 'one group only')
  .action(async ({ log, group }: { log: string; group?: string }) =>
    print(await withLog(log, (opened) => lag(opened, group))),
  )

command('describe', 'print the topology an application runs')
  .argument('<application>')
  .action(async (application: string, { log }: { log: string }) =>
    print(await withLog(log, (opened) => describe(opened, application))),
  )

program
  .command('migrate')
  .description('move topics, records and committed offsets from one log to another')
  .requiredOption('--from <url>', 'the log to read: sqlite:PATH or kafka://HOST:PORT')
  .requiredOption('--to <url>', 'the log to write; groups must be empty on both')
  .option('--topics <names>', 'only these, and the groups that need no others')
  .option('--groups <ids>', 'only these groups; "" for none')
  .option('--dry-run', 'show what would be done', false)
  .option('--no-verify', 'do not compare every record afterwards')
  .exitOverride()
  .action((flags: MigrateFlags) => migrate(flags, print, process.env['MILLRACE_FAILPOINT']))

try {
  await program.parseAsync()
} catch (error) {
  const commander = error as Partial<CommanderError>
  if (typeof commander.exitCode === 'number') {
    // Commander has already printed its line; help and version are no mistakes.
    process.exitCode = commander.exitCode === 0 ? 0 : 2
  } else if (error instanceof MigrationError && error.code === 'DIFFERS') {
    console.error(error.message)
    process.exitCode = 1
  } else if (
    error instanceof UsageError ||
    error instanceof LogError ||
    error instanceof MigrationError ||
    error instanceof TaskError
  ) {
    console.error(error.message)
    process.exitCode = 2
  } else throw error
}
