/**
 * `kafka-kill`: processes that are killed with SIGKILL at random moments and at every failpoint of the runtime and the driver.
 *
 * Invariant: a failpoint that never fired fails the drill. The place of who was killed is kept: the others take nothing over.
 */
import { RUNTIME_FAILPOINTS } from '#millrace'
import { KAFKA_FAILPOINTS } from '#millrace/log/kafka'
import { percentiles } from '../report.ts'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import type { Member } from './fleet.ts'
import { firstOutput } from './watch.ts'

const FLAGS = ['--commit-ms', '20']
const FIRES_MS_MAX = 90_000
const OUTPUT_MS_MAX = 60_000
/** What the issue asks for, on a machine that does nothing else. */
const OUTPUT_MS_GOAL = 1_500
const NTH_MAX = 15
const ONCE = new Set(['runtime:restore', 'runtime:window-close', 'runtime:shutdown'])
const AT_CLOSING = 'runtime:shutdown'
/** Comes once a minute. */
const AT_MINUTES = 'runtime:window-close'
/** Passed only where a commit goes to more than one broker. */
const BETWEEN_BROKERS = 'log:between-produces'

export function kafkaKill(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-kill', members: 2, flags: FLAGS, run }, options)
}

async function run(drill: Drill): Promise<void> {
  const { random, options, fleet } = drill
  const outputMs: number[] = []
  const readyMs: number[] = []
  const fired: string[] = []

  const restart = async (member: Member): Promise<void> => {
    const partitions = await drill.partitionsOf(member)
    const start = async (): Promise<void> => {
      const fromMs = performance.now()
      await drill.start(member)
      readyMs.push(performance.now() - fromMs)
    }
    if (partitions.length === 0) return start()
    const ms = await firstOutput(drill.log, partitions, start, OUTPUT_MS_MAX)
    if (ms === undefined) drill.violate(`${member.clientId}: nothing came after its restart`)
    else outputMs.push(ms)
  }

  let kills = 0
  const killOne = async (): Promise<void> => {
    await Bun.sleep(random.between(200, 2_000))
    const member = random.pick(fleet.members)
    await member.kill()
    await restart(member)
    kills += 1
  }
  while (kills < options.rounds) await killOne()
  const names = [...KAFKA_FAILPOINTS, ...RUNTIME_FAILPOINTS].filter((name) =>
    isPassed(name, options),
  )
  for (const name of names) {
    const member = random.pick(fleet.members)
    await member.kill()
    const nth = ONCE.has(name) ? 1 : random.between(1, NTH_MAX)
    const isReady = (await member.start(`${name}:${nth}`)) !== undefined
    if (isReady && name === AT_CLOSING) member.signal('SIGTERM')
    const exit = await member.exited(FIRES_MS_MAX)
    if (exit?.signal === 'SIGKILL') fired.push(name)
    else drill.violate(`failpoint ${name}:${nth} never fired`)
    await member.kill()
    drill.say(`killed at ${name}:${nth}`)
    await restart(member)
  }
  while (drill.goesOn(kills)) await killOne()
  drill.rows.push(
    ['random kills', kills],
    ['failpoints fired', `${fired.length} of ${names.length}`],
    ['restarts timed', outputMs.length],
    ...percentiles('ready again', readyMs),
    ...percentiles('first new output', outputMs),
    ['  later than 1.5 s', outputMs.filter((ms) => ms > OUTPUT_MS_GOAL).length],
  )
}

function isPassed(name: string, { brokers, quick }: DrillOptions): boolean {
  if (name === BETWEEN_BROKERS) return brokers > 1
  return name !== AT_MINUTES || !quick
}
