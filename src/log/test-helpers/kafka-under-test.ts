/**
 * The Kafka log as the contract's suite wants it, on brokers that other tests use too.
 *
 * Invariant: nothing that was there before is touched: every test draws its own names.
 */
import { systemClock as clock, systemRandom as random } from '#system'

import { openKafkaLog } from '../kafka-log.ts'
import { openCluster } from '../kafka/cluster.ts'
import { kafkaOptions } from '../kafka/kafka-url.ts'
import { fresh, type LogUnderTest } from '../log.contract/harness.ts'
import { appendOf, readPartition } from '../log.contract/records.ts'
import type { Log, LogWriter, TopicPartition } from '../log.ts'
import { moveLeader } from './move-leader.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** With more than one broker, leaders can be made to move. */
export async function kafkaUnderTest(
  bootstrap: string,
  { brokers = 1 }: { readonly brokers?: number } = {},
): Promise<LogUnderTest> {
  const url = `kafka://${bootstrap}`
  const options = await kafkaOptions(url)
  const log = await openKafkaLog(options, { clock, random })
  const opened: Log[] = [log]
  return {
    log,
    url,
    async reopen() {
      const again = await openKafkaLog(options, { clock, random })
      opened.push(again)
      return again
    },
    settleMaintenance: () => settle(log),
    ...(brokers > 1 && {
      async startLeaderEpoch(place: TopicPartition) {
        const cluster = await openCluster(options, { clock, random })
        await moveLeader(cluster, place).finally(() => cluster.close())
      },
    }),
    async dispose() {
      for (const each of opened) await each.close()
    },
  }
}

/**
 * Brokers delete and compact in the background, round after round, and tell nobody: what was seen to happen to partitions filled
 * just now has happened to all older ones, one round later at the latest. Twice, for a round that had begun before.
 */
async function settle(log: Log): Promise<void> {
  const writer = await log.writer()
  for (let round = 0; round < 2; round += 1) {
    const [deleted, compacted] = [fresh('deleted'), fresh('compacted')]
    const segments = { 'segment.ms': '1000' }
    const retention = { ...segments, 'retention.ms': `${HOUR_MS}` }
    const compaction = {
      ...segments,
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0',
    }
    await log.createTopics([
      { topic: deleted, partitions: 1, config: retention },
      { topic: compacted, partitions: 1, config: compaction },
    ])
    await Promise.all([
      untilDeleted(log, writer, { topic: deleted, partition: 0 }),
      untilCompacted(log, writer, { topic: compacted, partition: 0 }),
    ])
    await log.deleteTopics([deleted, compacted])
  }
  await writer.close()
}

async function untilDeleted(log: Log, writer: LogWriter, place: TopicPartition): Promise<void> {
  const oldMs = Date.now() - 3 * HOUR_MS
  await writer.append(appendOf(place, [{ value: 'old', timestampMs: oldMs }]))
  await writer.append(appendOf(place, ['young']))
  while ((await log.earliestOffset(place)) === 0) await Bun.sleep(100)
}

async function untilCompacted(log: Log, writer: LogWriter, place: TopicPartition): Promise<void> {
  const startMs = Date.now() - HOUR_MS
  for (let n = 0; n < 3; n += 1) {
    const timestampMs = startMs + n * MINUTE_MS
    await writer.append(appendOf(place, [{ key: 'k', value: `${n}`, timestampMs }]))
  }
  for (;;) {
    const records = await readPartition(log, place)
    if (records.every(({ offset }) => offset !== 0)) return
    await Bun.sleep(100)
  }
}
