/**
 * `kafka-proxy`: requests and responses of one kind are lost, held up, repeated or cut, between campus and its broker; and the
 * end of a transaction is lost for so long that nobody can say how it ended.
 *
 * Invariant: every rule has fired when the drill ends, or the drill fails.
 */
import type { Rule, RuleOptions } from '#kafka-for-tests/proxy'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import { INVENTORY, waitUntil } from './watch.ts'

/** Longer than a client waits for an answer: what arrives then arrives at a later transaction. */
const LATE_MS = 6_500
const FIRES_MS_MAX = 120_000
const GROUPS: readonly (readonly [what: string, rules: readonly RuleOptions[]])[] = [
  ['the end of a transaction', [...everyWay('EndTxn'), late('EndTxn')]],
  ['offsets', everyWay('TxnOffsetCommit')],
  ['produce', everyWay('Produce')],
  [
    'fetch',
    [
      { api: 'Fetch', side: 'response', action: 'cut', every: 40 },
      { api: 'Fetch', side: 'request', action: 'cut', every: 40 },
      { api: 'Fetch', side: 'response', action: 'drop', every: 50 },
    ],
  ],
]
/** Rules that come into play when a process starts. */
const AT_START: readonly RuleOptions[] = [
  { api: 'Heartbeat', side: 'response', action: 'drop', every: 7 },
  { api: 'Heartbeat', side: 'response', action: 'delay', every: 5, delayMs: 1_500 },
  { api: 'JoinGroup', side: 'response', action: 'delay', delayMs: 2_000 },
  { api: 'JoinGroup', side: 'request', action: 'cut', every: 2 },
  { api: 'InitProducerId', side: 'response', action: 'drop', every: 2 },
]
type Counts = Map<string, number>
const RESTART_EVERY_MS = 5_000
const LOST_MS_MAX = 120_000

export function kafkaProxy(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-proxy', members: 2, isProxied: true, run }, options)
}

function everyWay(api: RuleOptions['api']): readonly RuleOptions[] {
  return [
    { api, side: 'response', action: 'drop', every: 23 },
    { api, side: 'request', action: 'drop', every: 19 },
    { api, side: 'request', action: 'duplicate', every: 11, delayMs: 0 },
    { api, side: 'request', action: 'duplicate', every: 10, delayMs: 700 },
    { api, side: 'response', action: 'cut', every: 17 },
    { api, side: 'request', action: 'cut', every: 13 },
    { api, side: 'request', action: 'delay', every: 7, delayMs: 400 },
    { api, side: 'response', action: 'delay', every: 5, delayMs: 400 },
  ]
}
function late(api: RuleOptions['api']): RuleOptions {
  return { api, side: 'request', action: 'delay', every: 29, delayMs: LATE_MS }
}

async function run(drill: Drill): Promise<void> {
  const counts = new Map<string, number>()
  for (let round = 0; drill.goesOn(round); round += 1) await runRound(drill, counts)
  drill.rows.push(...counts)
}

async function runRound(drill: Drill, counts: Counts): Promise<void> {
  const { fleet, random } = drill
  for (const [what, rules] of GROUPS) await during(drill, counts, what, rules, async () => {})
  await during(drill, counts, 'membership', AT_START, async (hasFired) => {
    for (const endMs = performance.now() + FIRES_MS_MAX; performance.now() < endMs;) {
      const member = random.pick(fleet.members)
      await member.kill()
      await drill.start(member)
      if (await waitUntil(hasFired, RESTART_EVERY_MS)) return
    }
  })
  await loseEnd(drill, counts, 'request')
  if (!drill.options.quick) await loseEnd(drill, counts, 'response')
}

/** The rules are in force until each has fired. */
async function during(
  drill: Drill,
  counts: Counts,
  what: string,
  options: readonly RuleOptions[],
  meanwhile: (hasFired: () => boolean) => Promise<void>,
): Promise<void> {
  const { proxy, random } = drill
  const rules = options.map((one) => proxy.add({ ...one, skip: random.between(0, 5), times: 1 }))
  const hasFired = (): boolean => rules.every(({ fired }) => fired > 0)
  await meanwhile(hasFired)
  await waitUntil(hasFired, FIRES_MS_MAX)
  await healed(drill, counts, what, rules)
}

/**
 * No EndTxn of one process gets through, or none is answered, until it has given up: the outcome is unknown, and only a new
 * producer (InitProducerId) ends it. Without the request the broker has aborted; without the answer it has committed.
 */
async function loseEnd(drill: Drill, counts: Counts, side: 'request' | 'response'): Promise<void> {
  const { proxy, fleet, random } = drill
  const { clientId } = random.pick(fleet.members)
  const which = { clientId, transaction: INVENTORY }
  const lost = proxy.add({ ...which, api: 'EndTxn', side, action: 'drop' })
  const given = proxy.add({ ...which, api: 'InitProducerId', side: 'request', action: 'delay' })
  await waitUntil(() => given.fired > 0, LOST_MS_MAX)
  await healed(drill, counts, `every EndTxn ${side} of ${clientId} lost until it gave up`, [
    lost,
    given,
  ])
}

async function healed(
  drill: Drill,
  counts: Counts,
  what: string,
  rules: readonly Rule[],
): Promise<void> {
  drill.proxy.heal()
  drill.say(what)
  for (const { name, fired } of rules) {
    if (fired === 0) drill.violate(`${name} never happened`)
    counts.set(name, (counts.get(name) ?? 0) + fired)
  }
  if (!(await drill.progress(50, FIRES_MS_MAX))) drill.violate(`nothing is accepted after ${what}`)
}
