/**
 * `bun contending-child.ts PATH MS PARTITION`: commits in a tight loop, then prints how often, and how long the event loop
 * stood still at most. Time in which the kernel ran others on this thread's behalf is not counted.
 */
import { systemClock as clock, systemRandom as random } from '#system'
import { readFileSync } from 'node:fs'

import { codeOf } from '../log.contract/harness.ts'
import { appendOf } from '../log.contract/records.ts'
import { openSqliteLog } from '../sqlite-log.ts'

const TICK_MS = 5

const [path = '', ms = '', partition = ''] = process.argv.slice(2)
const log = await openSqliteLog(path, { clock, random })
const writer = await log.writer({ transactionalId: `writer-${partition}` })
process.stdout.write('ready\n')
for await (const _line of process.stdin) break

let stallMs = 0
let before = { atMs: performance.now(), waitedMs: waitedForCpuMs() }
const timer = setInterval(() => {
  const now = { atMs: performance.now(), waitedMs: waitedForCpuMs() }
  const ownMs = now.atMs - before.atMs - (now.waitedMs - before.waitedMs) - TICK_MS
  stallMs = Math.max(stallMs, ownMs)
  before = now
}, TICK_MS)

let commits = 0
for (const endMs = performance.now() + Number(ms); performance.now() < endMs; commits += 1) {
  const appends = [appendOf({ topic: 'orders', partition: Number(partition) }, [`${commits}`])]
  const result = await writer.commit({
    appends,
    groupId: undefined,
    member: undefined,
    offsets: [],
  })
  if (codeOf(result) !== 'committed') throw new Error(codeOf(result))
}
clearInterval(timer)
await log.close()
process.stdout.write(`${JSON.stringify({ commits, stallMs })}\n`)

/** How long this thread was ready to run and did not, since it began. */
function waitedForCpuMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6
}
