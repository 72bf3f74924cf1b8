/**
 * `millrace lag`: how far each group is behind, who runs what, and where that one answers.
 *
 * Invariant: shows only partitions that the group has committed or holds.
 */
import { partitionKey, type Log } from '#log'
import { endpointOf } from '#runtime'
import { table } from './print.ts'
import { UsageError } from './open.ts'

export async function lag(log: Log, group: string | undefined): Promise<string> {
  const groups = await log.describeGroups(group === undefined ? undefined : [group])
  if (group !== undefined && groups.length === 0)
    throw new UsageError(`there is no group ${group}: \`millrace lag\` lists all`)
  const topics = await log.describeTopics()
  const partitions = topics.flatMap(({ topic, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
  const rows: (string | number)[][] = []
  for (const { groupId, members } of groups) {
    const committed = await log.committedOffsets(groupId, partitions, { requireStable: false })
    for (const partition of partitions) {
      const holder = members.find(({ partitions: held }) =>
        held.some((one) => partitionKey(one) === partitionKey(partition)),
      )
      const offset = committed.get(partitionKey(partition))?.offset
      if (offset === undefined && holder === undefined) continue
      const end = await log.endOffset(partition, 'read-committed')
      const start = offset ?? (await log.earliestOffset(partition))
      const name = holder?.instanceId ?? holder?.memberId ?? '-'
      const where = holder === undefined ? '-' : (endpointOf(holder) ?? '-')
      const { topic, partition: number } = partition
      rows.push([groupId, topic, number, offset ?? '-', end, end - start, name, where])
    }
  }
  const columns = ['GROUP', 'TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'MEMBER', 'ANSWERS AT']
  return table(columns, rows)
}
