/**
 * Topics made and described by Kafka's own tool.
 *
 * Invariant: partitions and replicas that are not given are the broker's defaults.
 */
import { flags, runTool } from './java-tool.ts'
import type { ClientSettings } from './java-tool.ts'

export interface TopicOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string>>
  readonly settings?: ClientSettings
}

export async function createTopic(options: TopicOptions): Promise<void> {
  const { bootstrap, topic, partitions = 1, config = {}, settings } = options
  await runTool({
    tool: 'TopicCommand',
    args: [
      '--create',
      ...flags({ 'bootstrap-server': bootstrap, topic, partitions }),
      ...Object.entries(config).flatMap(([name, value]) => ['--config', `${name}=${value}`]),
    ],
    settings,
  })
}

export interface DescribedTopic {
  readonly partitions: number
  /** What is not Kafka's default, the brokers' own settings included. */
  readonly config: Readonly<Record<string, string>>
}

export async function describeTopic(
  options: Pick<TopicOptions, 'bootstrap' | 'topic' | 'settings'>,
): Promise<DescribedTopic> {
  const { bootstrap, topic, settings } = options
  const args = ['--describe', ...flags({ 'bootstrap-server': bootstrap, topic })]
  const { output } = await runTool({ tool: 'TopicCommand', args, settings })
  const head = output.split('\n').find((line) => line.startsWith(`Topic: ${topic}\t`)) ?? ''
  const field = (name: string): string =>
    head
      .split('\t')
      .find((each) => each.startsWith(`${name}: `))
      ?.slice(name.length + 2) ?? ''
  // A value may hold commas: `cleanup.policy=compact,delete`.
  const settingsSaid = field('Configs').split(/,(?=[a-z.]+=)/)
  const config = Object.fromEntries(
    settingsSaid
      .filter((each) => each !== '')
      .map((each) => each.trim().split('=') as [string, string]),
  )
  return { partitions: Number(field('PartitionCount')), config }
}
