/**
 * `kafka-zombie`: a process is stopped (SIGSTOP) until the group has given its tasks to the other one, and then goes on: outside
 * of a commit, and inside, between any two of its requests. Requests take their time, so that much happens between two.
 *
 * Invariant: what was held back inside a commit is held until after the zombie has joined again: a driver that asks for its
 * generation only when it sends would be let in with the new one.
 */
import type { Rule, RuleOptions } from '#kafka-for-tests/proxy'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import type { Member } from './fleet.ts'
import { INVENTORY, waitUntil } from './watch.ts'

type Place = Pick<RuleOptions, 'api' | 'side'>
/** Where in a commit it stops; undefined is anywhere. */
const PLACES: readonly (Place | undefined)[] = [
  { api: 'Produce', side: 'response' },
  { api: 'TxnOffsetCommit', side: 'request' },
  { api: 'TxnOffsetCommit', side: 'response' },
  { api: 'EndTxn', side: 'request' },
  { api: 'EndTxn', side: 'response' },
  undefined,
]
const STOPS_MS_MAX = 60_000
const MOVES_MS_MAX = 60_000
/** After it goes on, until it may have what it waited for. */
const HELD_MS = 2_500
const JITTER_MS = 150

export function kafkaZombie(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-zombie', members: 2, isProxied: true, run }, options)
}

async function run(drill: Drill): Promise<void> {
  const { fleet, proxy, random, options } = drill
  const pauses: Rule[] = []
  let inside = 0
  let moved = 0
  for (let round = 0; round < options.rounds; round += 1)
    for (const place of PLACES) {
      const member = random.pick(fleet.members)
      if ((await drill.partitionsOf(member)).length === 0) {
        drill.say(`${member.clientId} holds nothing yet`)
        await waitUntil(async () => (await drill.partitionsOf(member)).length > 0, MOVES_MS_MAX)
      }
      if (place === undefined) member.freeze()
      else if (await stopInside(drill, member, place, pauses)) inside += 1
      else drill.violate(`${member.clientId} was never at ${place.api} ${place.side}`)
      const isGone = await waitUntil(async () => !(await drill.isMember(member)), MOVES_MS_MAX)
      if (isGone) moved += 1
      else drill.violate(`the group never missed ${member.clientId}`)
      // The other one works with what it was given.
      await drill.progress(20, MOVES_MS_MAX)
      drill.say(`${member.clientId} goes on after ${place?.api ?? 'nothing'} ${place?.side ?? ''}`)
      member.thaw()
      await Bun.sleep(HELD_MS)
      proxy.heal()
      const isBack = await waitUntil(async () => {
        const all = await Promise.all(fleet.members.map((one) => drill.partitionsOf(one)))
        return all.every((partitions) => partitions.length > 0)
      }, MOVES_MS_MAX)
      if (!isBack) drill.violate(`${member.clientId} was never given anything again`)
    }
  const held = pauses.reduce((sum, { fired }) => sum + fired, 0)
  if (held === 0) drill.violate('nothing was held back inside a commit')
  drill.rows.push(
    ['stopped inside a commit', inside],
    ['stopped outside', options.rounds],
    ['tasks moved away from it', moved],
    ['held back until it had joined again', held],
  )
}

/** Stops the process as soon as it is there in a commit of the inventory, and holds back what it waits for. */
async function stopInside(
  { proxy, random }: Drill,
  member: Member,
  place: Place,
  pauses: Rule[],
): Promise<boolean> {
  const { clientId } = member
  const requests = ['Produce', 'TxnOffsetCommit', 'EndTxn'] as const
  // A pause between any two requests of a commit, also of one that the stop does not hit.
  const jitter = requests.map((api) =>
    proxy.add({
      api,
      side: 'response',
      action: 'delay',
      delayMs: () => (member.isFrozen ? HELD_MS : random.between(0, JITTER_MS)),
      clientId,
      transaction: INVENTORY,
      skip: api === place.api && place.side === 'response' ? 1 : 0,
      times: 40,
    }),
  )
  void jitter
  const stop = proxy.add({
    ...place,
    action: 'delay',
    delayMs: () => HELD_MS,
    clientId,
    transaction: INVENTORY,
    onFired: () => member.freeze(),
    times: 1,
  })
  pauses.push(stop)
  return waitUntil(() => stop.fired > 0, STOPS_MS_MAX)
}
