/**
 * The same recorded inputs give the same verdicts, byte for byte and partition by partition, whatever the number of workers
 * and the time between two commits (R11; equal as design section 7 says: key, value, headers, timestamp, order).
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Streams, openLog } from '#millrace'
import { inventoryTopology } from './inventory.ts'
import { eventually } from './test-helper/eventually.ts'
import { readVerdicts, type Verdicts } from './test-helper/read-verdicts.ts'
import { record } from './test-helper/recording.ts'
import { orders, stock } from './topics.ts'

const ORDERS = 100_000
const MODULE = { module: import.meta.resolve('./inventory.ts'), export: 'inventoryTopology' }

let folder: string
let recorded: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'campus-recorded-'))
  recorded = join(folder, 'recorded.db')
  const log = await openLog(`sqlite:${recorded}`, { durability: 'process' })
  await record(log, ORDERS, 7)
  await log.close()
}, 180_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Run extends Verdicts {
  readonly commits: number
}

async function decide(workers: number, commitIntervalMs: number): Promise<Run> {
  const run = mkdtempSync(join(folder, `run-${workers}-${commitIntervalMs}-`))
  // The write-ahead log is a part of the file for as long as it is there.
  for (const suffix of ['', '-wal'])
    if (existsSync(recorded + suffix))
      copyFileSync(recorded + suffix, join(run, `campus.db${suffix}`))
  const log = await openLog(`sqlite:${join(run, 'campus.db')}`, { durability: 'process' })
  const streams = new Streams(workers === 1 ? inventoryTopology : MODULE, {
    log,
    stateDir: join(run, 'state'),
    workers,
    commitIntervalMs,
  })
  await streams.start()
  await eventually(() => hasDecidedAll(streams), 'all is decided', 150_000)
  await streams.close()
  const { commits } = streams.metrics
  const found = await readVerdicts(log)
  await log.close()
  rmSync(run, { recursive: true, force: true })
  return { ...found, commits }
}

async function hasDecidedAll(streams: Streams): Promise<boolean> {
  if (streams.failure !== undefined) throw streams.failure
  const inputs = (await streams.lag()).filter(({ topic }) =>
    [orders.name, stock.name].includes(topic),
  )
  return inputs.every(({ lagRecords }) => lagRecords === 0)
}

const runs = new Map<string, Run>()

for (const workers of [1, 4])
  for (const commitIntervalMs of [100, 1, 5_000])
    test(`${workers} workers, a commit each ${commitIntervalMs} ms`, async () => {
      const run = await decide(workers, commitIntervalMs)
      runs.set(`${workers} ${commitIntervalMs}`, run)
      const { orders: placed, repeats, reserved, failed, violations } = run.report
      expect(violations).toEqual([])
      expect(placed + repeats).toBe(ORDERS)
      expect(reserved + failed).toBe(placed)
      const [first = run] = runs.values()
      expect(run.digests.size).toBe(4)
      expect(run.digests).toEqual(first.digests)
    }, 180_000)

test('these runs differed in what they were to differ in, and the order of things decided', () => {
  const { commits = 0, report } = runs.get('1 1') ?? {}
  expect(commits).toBeGreaterThan(runs.get('1 5000')?.commits ?? Infinity)
  expect(report?.repeats).toBeGreaterThan(1_000)
  expect(report?.reserved).toBeGreaterThan(10_000)
  expect(report?.failed).toBeGreaterThan(10_000)
})
