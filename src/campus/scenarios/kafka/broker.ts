/**
 * `kafka-broker`: the broker that leads a partition, coordinates the group, controls the cluster, and all of them at once, are
 * killed with SIGKILL and started again.
 *
 * Invariant: who is killed is who Kafka's own tools name; after each round something new comes out in time.
 */
import { runTool } from '#kafka-for-tests/tools'
import { inventoryEvents, orders } from '../../topics.ts'
import { percentiles } from '../report.ts'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import { firstOutput, INVENTORY } from './watch.ts'

const TARGETS = ['leader', 'coordinator', 'controller', 'all'] as const
type Target = (typeof TARGETS)[number]
const OUTPUT_MS_MAX = 120_000

export function kafkaBroker(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-broker', members: 2, run }, options)
}

async function run(drill: Drill): Promise<void> {
  const { cluster, log, options, random } = drill
  const partitions = (await log.describeTopics([inventoryEvents.name]))[0]?.partitions ?? 0
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const killed = new Map<Target, number>()
  const awayMs: number[] = []
  const backMs: number[] = []
  for (let round = 0; drill.goesOn(round); round += 1)
    for (const target of TARGETS) {
      const ids = await brokersOf(drill, target)
      const ended = await Promise.all(ids.map((id) => cluster.kill(id)))
      if (!ended.every(Boolean)) drill.violate(`${target}: broker ${ids} did not run`)
      killed.set(target, (killed.get(target) ?? 0) + 1)
      drill.say(`killed ${target}: broker ${ids}`)
      const isMajority = ids.length * 2 < options.brokers
      if (isMajority) {
        // The others go on without it.
        const ms = await firstOutput(log, all, async () => {}, OUTPUT_MS_MAX)
        if (ms === undefined) drill.violate(`nothing came out without the ${target}`)
        else awayMs.push(ms)
      } else await Bun.sleep(random.between(500, 3_000))
      const start = (): Promise<unknown> => Promise.all(ids.map((id) => cluster.start(id)))
      if (isMajority) await start()
      const fromMs = performance.now()
      if (!isMajority) await start()
      const ms = await firstOutput(log, all, async () => {}, OUTPUT_MS_MAX)
      if (ms === undefined) drill.violate(`nothing came out after the ${target} had come back`)
      else backMs.push(performance.now() - fromMs)
      await drill.progress(100, OUTPUT_MS_MAX)
    }
  drill.rows.push(
    ...TARGETS.map((target) => [`killed: ${target}`, killed.get(target) ?? 0] as const),
    ...(awayMs.length === 0 ? [] : percentiles('first output without it', awayMs)),
    ...percentiles('first output once it was started again', backMs),
  )
}

async function brokersOf({ cluster }: Drill, target: Target): Promise<readonly number[]> {
  const { bootstrap, brokerIds } = cluster
  const server = ['--bootstrap-server', bootstrap]
  const numberIn = async (tool: string, args: readonly string[], told: RegExp): Promise<number> => {
    const { output } = await runTool({ tool, args: [...server, ...args] })
    const id = Number(told.exec(output)?.[1])
    if (!brokerIds.includes(id)) throw new TypeError(`${tool} names no ${target}: ${output}`)
    return id
  }
  switch (target) {
    case 'leader':
      return [
        await numberIn('TopicCommand', ['--describe', '--topic', orders.name], /Leader: (\d+)/),
      ]
    case 'coordinator': {
      const args = ['--describe', '--state', '--group', INVENTORY]
      return [await numberIn('consumer.group.ConsumerGroupCommand', args, /:\d+\s*\((\d+)\)/)]
    }
    case 'controller':
      return [await controllerOf(bootstrap)]
    case 'all':
      return brokerIds
  }
}

async function controllerOf(bootstrap: string): Promise<number> {
  const args = ['--bootstrap-server', bootstrap, 'describe', '--status']
  const { output } = await runTool({ tool: 'MetadataQuorumCommand', args })
  return Number(/LeaderId:\s*(\d+)/.exec(output)?.[1])
}
