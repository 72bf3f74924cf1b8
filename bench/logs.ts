/** The logs that are measured on: one in memory, or one in a file that is gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type Log } from '#log'

export type LogKind = 'memory' | 'sqlite'

export interface BenchLog {
  readonly log: Log
  close(): Promise<void>
}

export async function openBenchLog(kind: LogKind): Promise<BenchLog> {
  if (kind === 'memory') {
    const log = await openLog('memory:')
    return { log, close: () => log.close() }
  }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const log = await openLog(`sqlite:${join(folder, 'log.db')}`)
  return {
    log,
    async close() {
      await log.close()
      rmSync(folder, { recursive: true })
    },
  }
}
