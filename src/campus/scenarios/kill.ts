/**
 * `kill`: clients that retry, an application that is killed with SIGKILL at random moments and at every failpoint, and the
 * invariants after each restart.
 *
 * Invariant: a failpoint that never fired fails the run; so does a store that was rebuilt, because `kill -9` must not cost one.
 */
import { RUNTIME_FAILPOINTS } from '#millrace'
import { SQLITE_FAILPOINTS } from '#millrace/log/sqlite'
import { Application } from './application.ts'
import { Client, caughtUp, type ApplicationList } from './client.ts'
import { check } from './feeds.ts'
import { Orders } from './orders.ts'
import { percentiles, printTable, verdict } from './report.ts'

export interface KillOptions {
  readonly kills: number
  readonly orders: number
}

/** Intervals made short, so that every failpoint is passed often. */
const FLAGS = ['--commit-ms', '20', '--maintenance-ms', '500']
/** A minute closes once a minute, and its grace and silence come on top. */
const FIRES_MS_MAX = 90_000
const READY_MS_MAX = 2_000
const CLOSES_MS_MAX = 80_000
/** How often a name may be passed before it kills; those that come once a run come at the first. */
const ONCE = new Set([
  'runtime:restore',
  'runtime:window-close',
  'runtime:shutdown',
  'log:compaction',
  'log:closing',
])
/** Passed only by an application that is asked to stop. */
const AT_CLOSING = new Set(['runtime:shutdown', 'log:closing'])
const NTH_MAX = 20

export async function kill({ kills, orders: count }: KillOptions): Promise<number> {
  const application = new Application(FLAGS)
  const client = new Client(() => application.url)
  const violations: string[] = []
  const readyMs: number[] = []
  const fired: string[] = []
  const orders = new Orders(client, count, 'kill')
  let restarts = 0
  let random = 0

  const restart = async (why: string, failpoint?: string): Promise<boolean> => {
    const ready = await application.start(failpoint)
    if (ready === undefined) {
      if (failpoint === undefined) violations.push(`it did not start again after ${why}`)
      return false
    }
    restarts += 1
    readyMs.push(ready)
    if (ready > READY_MS_MAX) violations.push(`ready only after ${Math.round(ready)} ms, ${why}`)
    const { violations: found } = await check(application.log, { complete: false })
    violations.push(...found.map((what) => `after ${why}: ${what}`))
    return true
  }

  try {
    if (!(await restart('the first start'))) return verdict(violations)
    const posting = orders.run()
    for (; random < kills && violations.length === 0; random += 1) {
      await Bun.sleep(100 + Math.random() * 1_500)
      await application.kill()
      await restart(`random kill ${random + 1}`)
    }
    for (const name of [...SQLITE_FAILPOINTS, ...RUNTIME_FAILPOINTS]) {
      if (violations.length > 0) break
      await application.kill()
      if (name === 'runtime:restore') await leaveStoreBehind(application, violations)
      const nth = ONCE.has(name) ? 1 : 1 + Math.floor(Math.random() * NTH_MAX)
      await restart(`arming ${name}:${nth}`, `${name}:${nth}`)
      if (AT_CLOSING.has(name)) application.signal('SIGTERM')
      const exit = await application.exited(FIRES_MS_MAX)
      if (exit?.signal === 'SIGKILL') fired.push(name)
      else violations.push(`failpoint ${name} never fired`)
      await application.kill()
      await restart(name)
    }
    orders.stop()
    await posting
    const settled = await client.waitFor<ApplicationList>('/applications', caughtUp, 60_000)
    if (settled === undefined) violations.push('it did not catch up')
    await client.minutesClosed(orders.accepted.length, CLOSES_MS_MAX)
    const stockNow = await client.shelves()
    const accepted = orders.accepted
    const report = await check(application.log, { complete: true, accepted, stockNow })
    violations.push(...report.violations)
    const rebuilt = application.complaints.filter((line) => line.includes('is rebuilt'))
    violations.push(...rebuilt.map((line) => `a store was wiped: ${line}`))
    printTable('kill', [
      ['random kills', random],
      [
        'failpoints fired',
        `${fired.length} of ${SQLITE_FAILPOINTS.length + RUNTIME_FAILPOINTS.length}`,
      ],
      ['restarts checked', restarts],
      ['orders accepted', accepted.length],
      ['distinct orders', report.orders],
      ['retries that came again', report.repeats],
      ['connections that broke', client.broken],
      ['reserved', report.reserved],
      ['failed', report.failed],
      ['closed minutes', report.minutes],
      ['late', report.late],
      ...percentiles('ready again', readyMs),
    ])
    if (application.complaints.length > 0)
      console.log(
        application.complaints
          .slice(0, 10)
          .map((line) => `  said: ${line}`)
          .join('\n'),
      )
    return verdict(violations)
  } finally {
    orders.stop()
    await application.remove()
  }
}

/** Dies between the log's commit and the stores' apply, so that the next start has something to restore. */
async function leaveStoreBehind(application: Application, violations: string[]): Promise<void> {
  await application.start('log:after-commit:5')
  const exit = await application.exited(FIRES_MS_MAX)
  if (exit?.signal !== 'SIGKILL') violations.push('could not leave a store behind its changelog')
}
