import { systemClock as clock, systemRandom as random } from '#system'
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { partitionKey } from '../log.ts'
import { readPartition, valuesOf } from '../log.contract/records.ts'
import { openSqliteLog } from '../sqlite-log.ts'
import { logFiles } from '../test-helpers/log-files.ts'

const newPath = logFiles()
const script = join(import.meta.dir, '..', 'log.contract', 'child.ts')
const COMMITS = 30

const strace = Bun.which('strace')
if (strace === null && process.env['CI'] === undefined) {
  console.warn('skipped: a disk is made to fail with strace (apt-get install strace)')
}

describe.skipIf(strace === null && process.env['CI'] === undefined)('a disk that fails', () => {
  test.each([
    ['a sync', 'fsync,fdatasync', 'EIO', 12],
    ['several syncs', 'fsync,fdatasync', 'EIO', '12..14'],
    ['a write of the WAL', 'pwrite64', 'EIO', 60],
    ['a write for want of room', 'pwrite64', 'ENOSPC', '60..63'],
  ])(
    'at %s: nothing acknowledged is lost, nothing is there twice, and the writer goes on',
    async (_, calls, error, when) => {
      const path = newPath()
      const options = { clock, random }
      const log = await openSqliteLog(path, options)
      await log.createTopics([{ topic: 'orders', partitions: 3, config: {} }])
      await log.close()
      const task = { topic: 'orders', groupId: 'g', transactionalId: 'w', last: COMMITS }
      const inject = `inject=${calls}:error=${error}:when=${when}`
      const command = [
        'strace',
        '-f',
        '-qq',
        '-e',
        `trace=${calls}`,
        '-e',
        inject,
        '-o',
        '/dev/null',
      ]
      const bun = [process.execPath, script, `sqlite:${path}`, 'commit', JSON.stringify(task)]
      const ran = Bun.spawnSync([...command, ...bun], { stderr: 'inherit' })
      expect(ran.exitCode).toBe(0)

      const lines = ran.stdout.toString().trim().split('\n').slice(1)
      const told = lines.map((line): { n: number; outcome: string } => JSON.parse(line))
      // The fault fired.
      const failed = told.filter(({ outcome }) => outcome !== 'committed')
      expect(failed.length).toBeGreaterThan(0)
      for (const { outcome } of failed) {
        expect(outcome).toBeOneOf(['unknown LOG_UNAVAILABLE', 'aborted LOG_UNAVAILABLE'])
      }
      expect(told.at(-1)).toEqual({ n: COMMITS, outcome: 'committed' })
      const again = await openSqliteLog(path, options)
      const all = Array.from({ length: COMMITS }, (__, n) => `${n + 1}`)
      for (const partition of [0, 1]) {
        expect(valuesOf(await readPartition(again, { topic: 'orders', partition }))).toEqual(all)
      }
      const counted = { topic: 'orders', partition: 2 }
      const committed = await again.committedOffsets('g', [counted])
      expect(committed.get(partitionKey(counted))?.offset).toBe(COMMITS)
      await again.close()
    },
    30_000,
  )
})
