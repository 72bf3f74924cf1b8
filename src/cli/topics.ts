/**
 * `millrace topics`: what topics a log holds, and how much is in them.
 *
 * Invariant: reads offsets only, no record.
 */
import type { Log } from '#log'
import { table } from './print.ts'

export async function topics(log: Log): Promise<string> {
  const described = [...(await log.describeTopics())].sort((a, b) => (a.topic < b.topic ? -1 : 1))
  const rows: (string | number)[][] = []
  for (const { topic, partitions, config } of described) {
    let records = 0
    for (let partition = 0; partition < partitions; partition += 1) {
      const end = await log.endOffset({ topic, partition }, 'read-uncommitted')
      records += end - (await log.earliestOffset({ topic, partition }))
    }
    const settings = Object.entries(config).map(([name, value]) => `${name}=${value}`)
    rows.push([topic, partitions, records, settings.join(' ')])
  }
  return table(['TOPIC', 'PARTITIONS', 'OFFSETS', 'CONFIG'], rows)
}
