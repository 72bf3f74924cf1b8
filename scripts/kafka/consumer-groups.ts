/**
 * `kafka-consumer-groups`: what Kafka's own tool says of a group, and offsets that it resets.
 *
 * Invariant: nothing is computed here; a dash in the tool's table is undefined.
 */
import { runTool } from './java-tool.ts'
import type { ClientSettings } from './java-tool.ts'

export interface GroupTarget {
  readonly bootstrap: string
  readonly group: string
  readonly settings?: ClientSettings
}

export interface GroupPartition {
  readonly topic: string
  readonly partition: number
  readonly committed: number | undefined
  readonly end: number | undefined
  readonly lag: number | undefined
  readonly consumerId: string | undefined
  readonly clientId: string | undefined
}

export interface GroupState {
  readonly state: string
  readonly assignor: string | undefined
  readonly members: number
}

export type ResetTo =
  | { readonly to: 'earliest' | 'latest' | 'current' }
  | { readonly to: 'offset'; readonly offset: number }
  | { readonly to: 'shift'; readonly by: number }

export async function describeGroup(target: GroupTarget): Promise<GroupPartition[]> {
  const rows = table(await groupTool(target, ['--describe', '--offsets']))
  return rows.map((row) => ({
    topic: row('TOPIC') ?? '',
    partition: Number(row('PARTITION')),
    committed: numberOf(row('CURRENT-OFFSET')),
    end: numberOf(row('LOG-END-OFFSET')),
    lag: numberOf(row('LAG')),
    consumerId: row('CONSUMER-ID'),
    clientId: row('CLIENT-ID'),
  }))
}

export async function groupState(target: GroupTarget): Promise<GroupState> {
  const [row] = table(await groupTool(target, ['--describe', '--state']))
  if (row === undefined) throw new Error(`the tool told nothing of group ${target.group}`)
  return {
    state: row('STATE') ?? '',
    assignor: row('ASSIGNMENT-STRATEGY'),
    members: Number(row('#MEMBERS')),
  }
}

export async function listGroups(target: Omit<GroupTarget, 'group'>): Promise<string[]> {
  const { output } = await runTool({
    tool: TOOL,
    args: ['--bootstrap-server', target.bootstrap, '--list'],
    settings: target.settings,
  })
  return output.split('\n').filter((line) => line !== '')
}

/** `topic` may name partitions: `orders:0,1`. The group must have no members. */
export async function resetOffsets(
  target: GroupTarget,
  topic: string,
  reset: ResetTo,
): Promise<void> {
  await groupTool(target, ['--reset-offsets', '--execute', '--topic', topic, ...resetFlags(reset)])
}

const TOOL = 'consumer.group.ConsumerGroupCommand'

function resetFlags(reset: ResetTo): string[] {
  if (reset.to === 'offset') return ['--to-offset', String(reset.offset)]
  if (reset.to === 'shift') return ['--shift-by', String(reset.by)]
  return [`--to-${reset.to}`]
}

async function groupTool(target: GroupTarget, args: readonly string[]): Promise<string> {
  const { bootstrap, group, settings } = target
  const { output, errors } = await runTool({
    tool: TOOL,
    args: ['--bootstrap-server', bootstrap, '--group', group, ...args],
    settings,
  })
  // The tool ends with 0 although it could not do what it was asked.
  const failure = /^(?:Error|WARN.*Exception).*$/m.exec(output + errors)?.[0]
  if (failure !== undefined) throw new Error(`kafka-consumer-groups: ${failure}`)
  return output
}

type Row = (column: string) => string | undefined

/** The lines below the head, by column. Fields hold no spaces, except that COORDINATOR (ID) is two words in the head. */
function table(output: string): Row[] {
  const lines = output.split('\n').map((line) => line.trim())
  const at = lines.findIndex((line) => line.startsWith('GROUP'))
  if (at < 0) return []
  const columns = (lines[at] ?? '').replace('COORDINATOR (ID)', 'COORDINATOR ID').split(/\s+/)
  return lines
    .slice(at + 1)
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(/\s+/)
      return (column) => {
        const field = fields[columns.indexOf(column)]
        return field === '-' ? undefined : field
      }
    })
}

function numberOf(field: string | undefined): number | undefined {
  return field === undefined ? undefined : Number(field)
}
