/**
 * `kafka-zombie`: a process is stopped (SIGSTOP) until the group has given its tasks to the other one, and then goes on: outside
 * of a commit, and inside, between any two of its requests. Requests take their time, so that much happens between two.
 *
 * Invariant: what was held back inside a commit is held until after the zombie has joined again: a driver that asks for its
 * generation only when it sends would be let in with the new one.
 */
import type { RuleOptions } from '#kafka-for-tests/proxy'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import type { Member } from './fleet.ts'
import { firstOutput, INVENTORY, waitUntil } from './watch.ts'

type Place = Pick<RuleOptions, 'api' | 'side'>
/** Where in a commit it stops; undefined is anywhere. A quick run takes every second one. */
const PLACES: readonly (Place | undefined)[] = [
  { api: 'Produce', side: 'request' },
  undefined,
  { api: 'TxnOffsetCommit', side: 'request' },
  { api: 'Produce', side: 'response' },
  { api: 'EndTxn', side: 'request' },
  { api: 'TxnOffsetCommit', side: 'response' },
  { api: 'Produce', side: 'request' },
  { api: 'EndTxn', side: 'response' },
]
const QUICK_STEP = 2
/** Longer than a zombie is stopped: else its commit would be given up for lateness, whatever its generation. */
const SETTINGS = { transactionTimeoutMs: '150000' }
const STOPS_MS_MAX = 60_000
const MOVES_MS_MAX = 60_000
/** How much longer than until it has joined again; the others take a heartbeat to hear of it. */
const HELD_MS_MIN = 1_000
const HELD_MS_MAX = 2_500
const PAUSE_MS_MAX = 150
const SKIP_MAX = 10
const COMMIT = ['Produce', 'TxnOffsetCommit', 'EndTxn'] as const

export function kafkaZombie(options: DrillOptions): Promise<number> {
  return runDrill(
    { name: 'kafka-zombie', members: 2, isProxied: true, settings: SETTINGS, run },
    options,
  )
}

async function run(drill: Drill): Promise<void> {
  const { fleet, proxy, random, options } = drill
  const counts = { inside: 0, outside: 0, overtaken: 0, moved: 0, held: 0 }
  for (let round = 0; drill.goesOn(round); round += 1)
    for (const [at, place] of PLACES.entries()) {
      if (options.quick && at % QUICK_STEP !== 0) continue
      const member = random.pick(fleet.members)
      await waitUntil(async () => (await drill.partitionsOf(member)).length > 0, MOVES_MS_MAX)
      const partitions = await drill.partitionsOf(member)
      const gate = Promise.withResolvers<void>()
      if (place === undefined) {
        member.freeze()
        counts.outside += 1
      } else if (await stopInside(drill, member, place, gate.promise)) counts.inside += 1
      else drill.violate(`${member.clientId} was never at ${place.api} ${place.side}`)
      const isGone = await waitUntil(async () => !(await drill.isMember(member)), MOVES_MS_MAX)
      if (isGone) counts.moved += 1
      else drill.violate(`the group never missed ${member.clientId}`)
      if (place === undefined || isUnwritten(place)) {
        const ms = await firstOutput(drill.log, partitions, async () => {}, MOVES_MS_MAX)
        if (ms !== undefined) counts.overtaken += 1
        else if (place !== undefined) drill.violate('nobody went on instead')
      }
      drill.say(`${member.clientId} goes on after ${place?.api ?? 'nothing'} ${place?.side ?? ''}`)
      member.thaw()
      const hasJoined = await waitUntil(() => drill.isMember(member), MOVES_MS_MAX)
      if (!hasJoined) drill.violate(`${member.clientId} never joined again`)
      else if (place !== undefined) counts.held += 1
      await Bun.sleep(random.between(HELD_MS_MIN, HELD_MS_MAX))
      gate.resolve()
      proxy.heal()
      const isBack = await waitUntil(
        async () => (await drill.partitionsOf(member)).length > 0,
        MOVES_MS_MAX,
      )
      if (!isBack) drill.violate(`${member.clientId} was never given anything again`)
    }
  drill.rows.push(
    ['stopped inside a commit', counts.inside],
    ['stopped anywhere', counts.outside],
    ['tasks moved away from it', counts.moved],
    ['overtaken before it went on', counts.overtaken],
    ['commit held until it had joined again', counts.held],
  )
}

/** Nothing of the commit is in the log: the others need not wait for it, and go on where it was. */
function isUnwritten({ api, side }: Place): boolean {
  return api === 'Produce' && side === 'request'
}

/** Stops the process as soon as it is there in a commit of the inventory; what it waits for comes when the gate opens. */
async function stopInside(
  { proxy, random }: Drill,
  member: Member,
  place: Place,
  gate: Promise<void>,
): Promise<boolean> {
  const which = { clientId: member.clientId, transaction: INVENTORY, action: 'delay' } as const
  // Until an end is seen, what is seen may be the rest of a transaction.
  let isBegun = true
  const stop = proxy.add({
    ...which,
    ...place,
    until: () => gate,
    onFired: () => member.freeze(),
    when: () => !isUnwritten(place) || !isBegun,
    // One of the first of a run, or one after many.
    skip: random.between(0, SKIP_MAX),
    times: 1,
  })
  // A pause between any two requests of a commit; and what is asked again after the stop waits for the gate as well.
  for (const api of COMMIT)
    proxy.add({
      ...which,
      api,
      side: 'request',
      until: () => (stop.fired > 0 ? gate : Bun.sleep(random.between(0, PAUSE_MS_MAX))),
      onFired: () => (isBegun = api !== 'EndTxn'),
    })
  return waitUntil(() => stop.fired > 0, STOPS_MS_MAX)
}
