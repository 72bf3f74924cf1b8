import { systemClock as clock, systemRandom as random } from '#system'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Log } from './log.ts'
import { logContract } from './log.contract.ts'
import { readPartition } from './log.contract/records.ts'
import { openSqliteLog } from './sqlite-log.ts'

logContract('the SQLite log', {
  sections: ['core', 'durable', 'multi-process'],
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-log-'))
    const path = join(folder, 'campus.db')
    const options = { clock, random, durability: 'process', bootId: 'boot-1' } as const
    const log = await openSqliteLog(path, options)
    const opened: Log[] = [log]
    return {
      log,
      url: `sqlite:${path}`,
      async reopen() {
        const again = await openSqliteLog(path, options)
        opened.push(again)
        return again
      },
      settleMaintenance: () => log.settleMaintenance(),
      // As after a power cut: somebody opens the log in another boot, and finds it was not closed.
      startLeaderEpoch: async () => {
        await (await openSqliteLog(path, { ...options, bootId: 'boot-2' })).close()
      },
      async dispose() {
        for (const each of opened) await each.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
})

describe('the SQLite log on this machine', () => {
  const script = (name: string): string => join(import.meta.dir, 'test-helpers', name)
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  /** System calls of a process that appends one by one: of every append, whether a sync lies before its acknowledgement. */
  function syncedAppends(durability: 'power' | 'process'): readonly boolean[] {
    const trace = join(folder, `${durability}.strace`)
    const traced = ['strace', '-f', '-ttt', '-e', 'trace=write,fsync,fdatasync', '-o', trace]
    const child = script('syncing-child.ts')
    const path = join(folder, `${durability}.db`)
    const ran = Bun.spawnSync([...traced, process.execPath, child, path, durability], {
      stderr: 'inherit',
    })
    expect(ran.exitCode).toBe(0)
    const calls = Bun.spawnSync(['cat', trace]).stdout.toString().split('\n')
    const synced: boolean[] = []
    let sawSync = false
    for (const call of calls) {
      if (call.includes('write(1, "begin')) sawSync = false
      else if (/f(data)?sync(\(\d+| resumed>)\)\s+= 0/.test(call)) sawSync = true
      else if (call.includes('write(1, "acknowledged')) synced.push(sawSync)
    }
    return synced
  }

  const strace = Bun.which('strace')
  if (strace === null && process.env['CI'] === undefined) {
    console.warn('skipped: durability is seen with strace (apt-get install strace)')
  }
  test.skipIf(strace === null && process.env['CI'] === undefined)(
    'durability `power` syncs before it acknowledges; `process` is seen not to',
    () => {
      expect(syncedAppends('power')).toEqual(Array.from({ length: 20 }, () => true))
      expect(syncedAppends('process')).not.toContain(true)
    },
    30_000,
  )

  test('R17: of four processes that commit in a tight loop the slowest gets half its share, and none stands still', async () => {
    const processes = 4
    const path = join(folder, 'contended.db')
    const log = await openSqliteLog(path, { clock, random })
    await log.createTopics([{ topic: 'orders', partitions: processes, config: {} }])
    const children = Array.from({ length: processes }, (_, partition) => {
      const command = [process.execPath, script('contending-child.ts'), path, '10000']
      return Bun.spawn([...command, `${partition}`], { stdin: 'pipe', stdout: 'pipe' })
    })
    const outputs = children.map((child) => linesOf(child.stdout))
    for (const lines of outputs) expect((await lines.next()).value).toBe('ready')
    for (const child of children) {
      child.stdin.write('go\n')
      child.stdin.flush()
    }
    const reports = await Promise.all(outputs.map(async (lines) => (await lines.next()).value))
    const done = reports.map((report) => JSON.parse(report ?? '{}'))
    const commits = done.map((report): number => report.commits)
    const all = commits.reduce((sum, count) => sum + count, 0)
    expect(Math.min(...commits)).toBeGreaterThanOrEqual(all / processes / 2)
    for (const { stallMs } of done) expect(stallMs).toBeLessThan(50)
    for (const [partition, count] of commits.entries()) {
      expect((await readPartition(log, { topic: 'orders', partition })).length).toBe(count)
    }
    await log.close()
  }, 180_000)
})

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
