/**
 * `kafka-rebalance`: every three seconds a process joins or one leaves, cleanly or not.
 *
 * Invariant: one process stays throughout, so that there is always somebody to order from.
 */
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import { waitUntil } from './watch.ts'

const EVERY_MS = 3_000
const MEMBERS_MAX = 4
const SHARED_MS_MAX = 60_000

export function kafkaRebalance(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-rebalance', members: 1, run }, options)
}

async function run(drill: Drill): Promise<void> {
  const { fleet, random, log } = drill
  let joins = 0
  let leaves = 0
  let kills = 0
  const generations = new Set<number>()
  const seeGeneration = async (): Promise<void> => {
    const [group] = await log.describeGroups(['campus-inventory'])
    if (group !== undefined && group.generation >= 0) generations.add(group.generation)
  }
  while (drill.goesOn(joins)) {
    const nextMs = performance.now() + EVERY_MS
    const [, ...others] = fleet.members
    const isJoin = others.length === 0 || (others.length < MEMBERS_MAX - 1 && random.next() < 0.55)
    if (isJoin) {
      await drill.start(fleet.add())
      joins += 1
    } else {
      const member = random.pick(others)
      if (random.next() < 0.5) {
        await member.stop()
        leaves += 1
      } else kills += 1
      await fleet.drop(member)
    }
    await seeGeneration()
    await Bun.sleep(Math.max(0, nextMs - performance.now()))
  }
  await waitUntil(async () => {
    await seeGeneration()
    const [group] = await log.describeGroups(['campus-inventory'])
    return group?.state === 'stable' && group.members.length === fleet.members.length
  }, SHARED_MS_MAX)
  if (generations.size < 2) drill.violate('the group was never rebalanced')
  drill.rows.push(
    ['joined', joins],
    ['left', leaves],
    ['killed', kills],
    ['generations seen', generations.size],
  )
}
