import { systemClock as clock, systemRandom as random } from '#system'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Log } from './log.ts'
import { logContract } from './log.contract.ts'
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
