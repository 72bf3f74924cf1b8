/**
 * Reaches, from another thread of the process, the log that a share was taken from, whatever its driver is.
 *
 * Invariant: only the driver that is named gets loaded.
 */
import type { Clock, Failpoint, Random } from '#system'

import { type Log, LogError, type LogShare } from './log.ts'

export async function connectLog(
  share: LogShare,
  options: { readonly clock: Clock; readonly random: Random; readonly failpoint?: Failpoint },
): Promise<Log> {
  if (share.driver === 'sqlite') {
    const { connectSqliteLog } = await import('./sqlite-log.ts')
    return connectSqliteLog(share, options)
  }
  if (share.driver === 'kafka') {
    const { connectKafkaLog } = await import('./kafka-log.ts')
    return connectKafkaLog(share, options)
  }
  throw new LogError('LOG_MISUSE', `a ${share.driver} log cannot be reached from another thread`)
}
