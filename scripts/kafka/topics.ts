/**
 * Topics made by Kafka's own tool.
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
