/** R20 over `kill -9`: between the disk, the log, and what is forgotten after it. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '#millrace'
import { OUTBOX_FAILPOINTS } from './order-publisher.ts'
import { Outbox } from './outbox.ts'
import type { Order } from './schemas.ts'
import { readRecords } from './test-helper/read-records.ts'
import { orders } from './topics.ts'

const CHILD = join(import.meta.dir, 'test-helper/outbox-child.ts')
const COUNT = 10

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outbox-kill-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(
  first: number,
  failpoint: string,
): Promise<{ readonly answered: readonly string[]; readonly signal: string | number | null }> {
  const child = Bun.spawn(
    [process.execPath, CHILD, folder, String(first), String(COUNT), failpoint],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', timeout: 20_000, killSignal: 'SIGTERM' },
  )
  const text = await new Response(child.stdout).text()
  await child.exited
  const answered = text.split('\n').filter((line) => line !== '')
  return { answered, signal: child.signalCode }
}

async function written(): Promise<readonly string[]> {
  const log = await openLog(`sqlite:${join(folder, 'campus.db')}`, { create: false })
  try {
    const records = await readRecords(log, orders.name)
    return records.map(({ value }) => (JSON.parse(value ?? '') as Order).order_id)
  } finally {
    await log.close()
  }
}

// Each the first time, and the middle of the queue where there is one.
test.each([...OUTBOX_FAILPOINTS, 'ingress:kept:5', 'ingress:publishing:2'])(
  'kill -9 at %s loses nothing that was answered, and changes no order',
  async (failpoint) => {
    const killed = await run(0, failpoint)
    expect(killed.signal).toBe('SIGKILL')
    expect(killed.answered.every((line) => line.endsWith(' local'))).toBe(true)
    const next = await run(100, '')
    expect(next.signal).toBeNull()
    expect(next.answered).toHaveLength(2 * COUNT)
    const answered = [...killed.answered, ...next.answered].map((line) => line.split(' ')[0] ?? '')
    const all = await written()
    const firsts = [...new Set(all)]
    // At most one order was kept and not answered: the process ended in between.
    expect(firsts.length - answered.length).toBeLessThanOrEqual(1)
    const known = new Set(answered)
    expect(firsts.filter((id) => known.has(id))).toEqual(answered)
    // What the log had when the process ended comes twice, for dedupe to drop; nothing else does.
    if (failpoint === 'ingress:published') expect(all.length).toBeGreaterThan(firsts.length)
    else expect(all).toEqual(firsts)
    const outbox = new Outbox(join(folder, 'ingress.db'), 1)
    expect(outbox.count).toBe(0)
    outbox.close()
  },
  30_000,
)
