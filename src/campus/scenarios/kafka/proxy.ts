/**
 * `kafka-proxy`: requests and responses of one kind are lost, held up, repeated or cut, between campus and its broker.
 *
 * Invariant: every rule has fired when the drill ends, or the drill fails.
 */
import type { RuleOptions } from '#kafka-for-tests/proxy'
import { runDrill, type Drill, type DrillOptions } from './drill.ts'
import { waitUntil } from './watch.ts'

/** Longer than a client waits for an answer: what arrives then arrives at a later transaction. */
const LATE_MS = 6_500
const FIRES_MS_MAX = 120_000
const GROUPS: readonly (readonly [what: string, rules: readonly RuleOptions[]])[] = [
  ['the end of a transaction', [...everyWay('EndTxn'), late('EndTxn'), twiceLate('EndTxn')]],
  ['offsets', [...everyWay('TxnOffsetCommit'), twiceLate('TxnOffsetCommit')]],
  ['produce', [...everyWay('Produce'), twiceLate('Produce')]],
  [
    'fetch and group',
    [
      { api: 'Fetch', side: 'response', action: 'cut', every: 40 },
      { api: 'Fetch', side: 'request', action: 'cut', every: 40 },
      { api: 'Heartbeat', side: 'response', action: 'drop', every: 7 },
      { api: 'Heartbeat', side: 'response', action: 'delay', every: 5, delayMs: 1_500 },
      { api: 'JoinGroup', side: 'response', action: 'delay', delayMs: 2_000 },
      { api: 'JoinGroup', side: 'request', action: 'cut', every: 2 },
      { api: 'InitProducerId', side: 'response', action: 'drop', every: 2 },
    ],
  ],
]
/** Rules of these come into play only when a process starts. */
const AT_START = GROUPS.length - 1

export function kafkaProxy(options: DrillOptions): Promise<number> {
  return runDrill({ name: 'kafka-proxy', members: 2, isProxied: true, run }, options)
}

function everyWay(api: RuleOptions['api']): readonly RuleOptions[] {
  return [
    { api, side: 'response', action: 'drop', every: 23 },
    { api, side: 'request', action: 'drop', every: 19 },
    { api, side: 'request', action: 'duplicate', every: 11 },
    { api, side: 'response', action: 'cut', every: 17 },
    { api, side: 'request', action: 'cut', every: 13 },
    { api, side: 'request', action: 'delay', every: 7, delayMs: 400 },
    { api, side: 'response', action: 'delay', every: 5, delayMs: 400 },
  ]
}
function late(api: RuleOptions['api']): RuleOptions {
  return { api, side: 'request', action: 'delay', every: 29, delayMs: LATE_MS }
}
function twiceLate(api: RuleOptions['api']): RuleOptions {
  return { api, side: 'request', action: 'duplicate', every: 10, delayMs: 700 }
}

async function run(drill: Drill): Promise<void> {
  const { proxy, options, fleet, random } = drill
  for (const [at, [what, group]] of GROUPS.entries()) {
    const rules = group.map((rule) =>
      proxy.add({ ...rule, skip: random.between(0, 5), times: options.rounds }),
    )
    const hasFired = (): boolean => rules.every(({ fired }) => fired >= options.rounds)
    const endMs = performance.now() + FIRES_MS_MAX
    while (!hasFired() && performance.now() < endMs) {
      if (at === AT_START) {
        const member = random.pick(fleet.members)
        await member.kill()
        await drill.start(member)
      }
      await waitUntil(hasFired, at === AT_START ? 5_000 : FIRES_MS_MAX)
    }
    proxy.heal()
    drill.say(`${what}: ${rules.map(({ fired, name }) => `${name} ${fired}`).join(', ')}`)
    for (const { name, fired } of rules) {
      if (fired === 0) drill.violate(`${name} never happened`)
      drill.rows.push([name, fired])
    }
    if (!(await drill.progress(50, FIRES_MS_MAX)))
      drill.violate(`nothing is accepted after ${what}`)
  }
}
